"""How the graph is configured."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.agents.settings import Settings

NEEDED: dict[str, Any] = {
    "environment": "local",
    "redis_url": "redis://localhost",
    "rabbitmq_url": "amqp://localhost",
    "cursor_secret": "c" * 32,
    "client_secret": "s" * 32,
    "neo4j_url": "bolt://localhost:7687",
    "neo4j_password": "long-enough",
    "secret_encryption_key": "k" * 44,
}


@pytest.mark.parametrize("url", ["bolt://localhost:7687", "neo4j+s://graph.example.com:7687", "bolt+ssc://[::1]:7687"])
def test_a_bolt_address_is_accepted(url: str) -> None:
    assert Settings(**NEEDED | {"neo4j_url": url}).neo4j_url == url


@pytest.mark.parametrize("url", ["localhost:7687", "http://localhost:7474", "bolt://", "bolt://localhost/x"])
def test_anything_else_does_not_start(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(**NEEDED | {"neo4j_url": url})


def test_the_password_has_no_default_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEO4J_PASSWORD", raising=False)

    with pytest.raises(ValidationError, match="neo4j_password"):
        Settings(**{name: value for name, value in NEEDED.items() if name != "neo4j_password"})
    assert "long-enough" not in repr(Settings(**NEEDED))
