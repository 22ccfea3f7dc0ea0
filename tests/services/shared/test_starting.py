"""A process that cannot start says why in one line, and its exit code says whether trying again may help."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from local.layout import REPOSITORY
from local.suite import Suite
from tests.fixtures.ports import free_port


def start(suite: Suite, **changes: str) -> subprocess.CompletedProcess[str]:
    """auth, from its first line until it has given up."""
    environment = suite.environment("auth") | {"PORT": str(free_port()), "DISCOVERY": "static"} | changes
    command = [sys.executable, "-m", "services.auth"]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


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
def test_an_unusable_setting_is_one_line(suite: Suite, server: str, variable: str, value: str) -> None:
    ended = start(suite, **{variable: value})

    assert ended.returncode == os.EX_CONFIG, ended.stdout
    assert [line.split(": ")[:2] for line in ended.stderr.splitlines()] == [["cannot start", variable]]
    assert "hunter2" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout


async def test_a_foreign_role_is_one_line(
    suite: Suite, server: str, superuser: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await superuser.execute("CREATE ROLE foreigner LOGIN PASSWORD 'hunter2-hunter2'")
    foreign = make_url(server).set(username="foreigner", password="hunter2-hunter2")
    wrong = make_url(server).set(password="not-the-password")

    for url, said in ((foreign, "permission denied to create database"), (wrong, "password authentication failed")):
        text = url.render_as_string(hide_password=False)
        ended = await asyncio.to_thread(start, suite, DATABASE_URL=text, DATABASE_NAME="strange")
        assert ended.returncode == os.EX_CONFIG, ended.stdout
        assert [line.split(": ")[:2] for line in ended.stderr.splitlines()] == [["cannot start", "DATABASE_URL"]]
        assert said in ended.stderr
        assert "Traceback" not in ended.stdout


async def test_a_table_that_is_somebody_elses_is_one_line(
    suite: Suite, server: str, superuser: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await superuser.execute("CREATE DATABASE occupied")
    url = make_url(server).set(drivername="postgresql", database="occupied")
    occupant = await asyncpg.connect(url.render_as_string(hide_password=False))
    await occupant.execute("CREATE TABLE tenant (id int)")
    await occupant.close()

    ended = await asyncio.to_thread(start, suite, DATABASE_NAME="occupied")

    assert ended.returncode == os.EX_CONFIG, ended.stdout
    assert 'relation "tenant" already exists' in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_taken_port_is_one_line(suite: Suite) -> None:
    """Before anything is opened: no store runs here, and none is asked."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = start(suite, PORT=str(port))

    assert ended.returncode == os.EX_CONFIG, ended.stdout
    assert ended.stderr == f"cannot start: PORT: {port} is taken by another program\n"


def test_a_store_that_is_away_is_one_line_and_may_come_back(suite: Suite) -> None:
    away = f"postgresql+asyncpg://auth:a-long-password-1@127.0.0.1:{free_port()}/"

    ended = start(suite, DATABASE_URL=away)

    assert (ended.returncode, ended.stderr) == (
        os.EX_TEMPFAIL,
        "cannot start now: postgres is not available right now.\n",
    )
    assert "Traceback" not in ended.stdout
