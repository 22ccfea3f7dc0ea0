"""The tests use stores of the environment when told to, and never by accident."""

from pathlib import Path

import pytest

from local.suite import Suite
from tests.fixtures.stores import SWITCH, given_stores

URLS = {
    "DATABASE_URL": "postgresql+asyncpg://u:p@db.example:5432/",
    "REDIS_URL": "redis://redis.example",
    "RABBITMQ_URL": "amqp://rabbitmq.example",
    "CONSUL_URL": "http://consul.example:8500",
    "NEO4J_URL": "bolt://neo4j.example",
    "CHROMADB_URL": "http://chroma.example:8000",
    "QDRANT_URL": "http://qdrant.example:6334",
}
OTHER = {"PUBLIC_URL": "https://example.com", "MAIL_URL": "smtp://mail.example", "LLM_URL": "http://llm.example/v1"}


def test_addresses_alone_are_left_alone() -> None:
    assert given_stores(URLS | OTHER) == {}


def test_every_store_can_be_another_server() -> None:
    assert given_stores(URLS | OTHER | {SWITCH: "environment"}) == URLS


def test_a_switch_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=SWITCH):
        given_stores({SWITCH: "yes"})


def test_the_services_under_test_are_given_them(tmp_path: Path) -> None:
    suite = Suite(tmp_path, 40_000, given_stores(URLS | {SWITCH: "environment", "NEO4J_PASSWORD": "x"}))

    given = {**suite.environment("vectors"), **suite.environment("agents"), **suite.environment("auth")}

    assert given.items() >= URLS.items()
    assert given["NEO4J_PASSWORD"] == "x"
