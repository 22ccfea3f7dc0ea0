"""What vectors does not offer is refused by name, not passed over."""

from pathlib import Path
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


def test_with_tls_a_node_is_sent_no_token_in_the_clear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAISS_URL", "http://faiss:8000")
    tls: dict[str, Any] = {f"tls_{name}_file": tmp_path for name in ("certificate", "key", "authority")}

    with pytest.raises(ValidationError, match="the node's address is https"):
        Settings(**NEEDED, **tls)
    assert Settings(**NEEDED).faiss_url == "http://faiss:8000"


def test_an_empty_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAISS_URL", "")

    assert Settings(**NEEDED).faiss_url is None


def test_who_puts_results_in_order_has_a_name() -> None:
    with pytest.raises(ValidationError, match="RERANK_URL needs RERANK_MODEL"):
        Settings(**NEEDED, rerank_url="http://127.0.0.1")
    assert Settings(**NEEDED).rerank_model == ""
