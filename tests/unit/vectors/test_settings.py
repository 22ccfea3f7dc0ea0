"""What vectors does not offer is refused by name, not passed over."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.vectors.settings import Settings

NEEDED: dict[str, Any] = {
    "environment": "local",
    "redis_url": "redis://127.0.0.1",
    "rabbitmq_url": "amqp://127.0.0.1",
    "chromadb_url": "http://127.0.0.1",
    "cursor_secret": "x" * 32,
    "client_secret": "x" * 32,
}


def test_a_faiss_server_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lifted the lock of the data directory and did nothing else: two replicas split the collections."""
    monkeypatch.setenv("FAISS_URL", "http://vectors-faiss:10204")

    with pytest.raises(ValidationError, match="leave FAISS_URL out"):
        Settings(**NEEDED)


def test_an_empty_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAISS_URL", "")

    assert Settings(**NEEDED).faiss_url is None
