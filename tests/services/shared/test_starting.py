"""A process that cannot start says why in one line, and its exit code says whether trying again may help."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from local.suite import Suite
from services.vectors.adapters.data_dir import owned
from tests.fixtures.ports import free_port
from tests.fixtures.warm import Ended, Warm


class Start(Protocol):
    """A service, from its first line until it has given up."""

    def __call__(self, service: str = "auth", **changes: str) -> Ended: ...


@pytest.fixture
def start(suite: Suite, warm: Warm) -> Start:
    def started(service: str = "auth", **changes: str) -> Ended:
        environment = suite.environment(service) | {"PORT": str(free_port()), "DISCOVERY": "static"} | changes
        return warm.run(f"services.{service}", environment=environment)

    return started


@pytest.fixture
def server(suite: Suite) -> str:
    suite.up(["postgres"])
    return suite.url("postgres")


@pytest.fixture
async def superuser(server: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    url = make_url(server).set(drivername="postgresql", database="postgres")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "postgresql+asyncpg://user:hunter2@host:port/"),
        ("DATABASE_URL", "hunter2"),
        ("REDIS_URL", "http://:hunter2@127.0.0.1"),
        ("HOST", "192.0.2.1"),
    ],
)
def test_an_unusable_setting_is_one_line(start: Start, server: str, variable: str, value: str) -> None:
    ended = start(**{variable: value})

    assert ended.code == os.EX_CONFIG, ended.output
    assert [line.split(": ")[:2] for line in ended.error.splitlines()] == [["cannot start", variable]]
    assert "hunter2" not in ended.output + ended.error
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    ("service", "variable", "value"),
    [
        ("agents", "NEO4J_URL", "http://hunter2@127.0.0.1"),
        ("agents", "NEO4J_URL", "bolt://hunter2:port"),
        ("agents", "NEO4J_URL", "bolt://neo4j:hunter2@127.0.0.1"),
        ("agents", "RABBITMQ_URL", "http://guest:hunter2@127.0.0.1"),
        ("agents", "RABBITMQ_URL", "amqp://guest:hunter2@host:port/"),
        ("vectors", "CHROMADB_URL", "hunter2"),
        ("vectors", "QDRANT_URL", "http://hunter2:port"),
    ],
)
def test_an_unusable_address_of_a_store_is_one_line(
    start: Start, tmp_path: Path, service: str, variable: str, value: str
) -> None:
    """Before anything is asked: no store runs for it."""
    ended = start(service, DATA_DIR=str(tmp_path), **{variable: value})

    assert ended.code == os.EX_CONFIG, ended.output
    assert [line.split(": ")[:2] for line in ended.error.splitlines()] == [["cannot start", variable]]
    assert "hunter2" not in ended.output + ended.error
    assert "Traceback" not in ended.output


async def test_a_foreign_role_is_one_line(
    start: Start, server: str, superuser: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await superuser.execute("CREATE ROLE foreigner LOGIN PASSWORD 'hunter2-hunter2'")
    foreign = make_url(server).set(username="foreigner", password="hunter2-hunter2")
    wrong = make_url(server).set(password="not-the-password")

    for url, said in ((foreign, "permission denied to create database"), (wrong, "password authentication failed")):
        text = url.render_as_string(hide_password=False)
        ended = await asyncio.to_thread(start, DATABASE_URL=text, DATABASE_NAME="strange")
        assert ended.code == os.EX_CONFIG, ended.output
        assert [line.split(": ")[:2] for line in ended.error.splitlines()] == [["cannot start", "DATABASE_URL"]]
        assert said in ended.error
        assert "Traceback" not in ended.output


async def test_a_table_that_is_somebody_elses_is_one_line(
    start: Start, server: str, superuser: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await superuser.execute("CREATE DATABASE occupied")
    url = make_url(server).set(drivername="postgresql", database="occupied")
    occupant = await asyncpg.connect(url.render_as_string(hide_password=False))
    await occupant.execute("CREATE TABLE tenant (id int)")
    await occupant.close()

    ended = await asyncio.to_thread(start, DATABASE_NAME="occupied")

    assert ended.code == os.EX_CONFIG, ended.output
    assert 'relation "tenant" already exists' in ended.error
    assert len(ended.error.splitlines()) == 1


def test_a_taken_port_is_one_line(start: Start) -> None:
    """Before anything is opened: no store runs here, and none is asked."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = start(PORT=str(port))

    assert ended.code == os.EX_CONFIG, ended.output
    assert ended.error == f"cannot start: PORT: {port} is taken by another program\n"


async def test_a_data_directory_in_use_is_one_line(start: Start, suite: Suite, tmp_path: Path) -> None:
    """As after switching to a node of its own while the service that had the files still runs."""
    suite.up(["redis", "redis-cache"])
    async with owned(tmp_path):
        ended = await asyncio.to_thread(start, "vectors", DATA_DIR=str(tmp_path))

    assert ended.code == os.EX_CONFIG, ended.output
    assert ended.error == (
        f"cannot start: DATA_DIR: {tmp_path} belongs to another process of vectors, which is to end first\n"
    )


def test_a_store_that_is_away_is_one_line_and_may_come_back(start: Start) -> None:
    away = f"postgresql+asyncpg://auth:a-long-password-1@127.0.0.1:{free_port()}/"

    ended = start(DATABASE_URL=away)

    assert (ended.code, ended.error) == (
        os.EX_TEMPFAIL,
        "cannot start now: postgres is not available right now.\n",
    )
    assert "Traceback" not in ended.output
