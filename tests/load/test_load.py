"""People at work, by locust: a few for some seconds, and as many as `make load` says, who are held to times as well."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from local.layout import REPOSITORY
from local.suite import Suite
from tests.fixtures.given_gateway import address_of
from tests.fixtures.places import FAULTS_PORT_BASE
from tests.services.chat.servers import ModelServer, serving

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
LOCUST: Final = REPOSITORY / ".local" / "load" / "bin" / "locust"
INSTALL_SECONDS: Final = 300
FINISH_SECONDS: Final = 120
USERS, SECONDS = int(os.environ.get("LOAD_USERS") or 0), int(os.environ.get("LOAD_SECONDS") or 120)
PIECES: Final = [f" word{number}" for number in range(64)]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Locust, once."""
    subprocess.run([REPOSITORY / "local" / "bootstrap.sh", "load_environment"], check=True, timeout=INSTALL_SECONDS)


@pytest.fixture
async def usual(tmp_path: Path) -> AsyncIterator[Suite]:
    """As `make up` starts it, empty, and with a model that takes no time: it is not what is measured."""
    model = ModelServer()
    model.pieces = PIECES
    kept = {name: os.environ[name] for name in ("PATH", "SUTAZAI_CACHE") if name in os.environ}
    async with serving(model) as address:
        given = {"LLM_URL": f"{address}/v1", "LLM_MODEL": "scripted"}
        suite = Suite(tmp_path / "usual", FAULTS_PORT_BASE, kept | given)
        try:
            await asyncio.to_thread(suite.up)
            yield suite
        finally:
            await asyncio.to_thread(suite.down)


async def load(suite: Suite, *arguments: object) -> int:
    """Locust's exit code. What it prints is for whoever looks."""
    host = ("--host", address_of(suite), "--stop-timeout", FINISH_SECONDS)
    command = [LOCUST, "--headless", "--only-summary", "-f", LOCUSTFILE, *host, *arguments]
    process = await asyncio.create_subprocess_exec(*map(str, command))
    return await process.wait()


@pytest.mark.timeout(300)
async def test_a_few_people_meet_no_error(suite: Suite, gateway: httpx.AsyncClient, tmp_path: Path) -> None:
    """Who takes how long is asked on a machine that does nothing else."""
    await asyncio.to_thread(suite.up)  # what tests before have broken may not be known to be well yet
    people = ("--users", 5, "--spawn-rate", 5, "--run-time", "5s", "--pause", 0, "--p95-ms", "inf")

    ended = await load(suite, *people, "--json-file", tmp_path / "found")

    found = {one["name"]: one for one in json.loads((tmp_path / "found.json").read_text())}
    assert ended == 0
    assert {"/auth/token", "/vectors/search", "/chat/message", "submitted until done"} <= found.keys()
    assert all(one["num_requests"] >= 5 for one in found.values())


async def test_a_time_that_is_missed_is_told(suite: Suite, gateway: httpx.AsyncClient) -> None:
    people = ("--users", 1, "--spawn-rate", 1, "--run-time", "1s", "--pause", 0, "--p95-ms", 0)

    assert await load(suite, *people) == 1


@pytest.mark.skipif(not USERS, reason="with LOAD_USERS=50, as `make load` says")
@pytest.mark.timeout(SECONDS + 600)
async def test_many_people_meet_no_error_and_wait_for_nothing(usual: Suite, tmp_path: Path) -> None:
    warm_up = ("--users", 10, "--spawn-rate", 10, "--run-time", "10s", "--p95-ms", "inf")
    assert await load(usual, *warm_up, "--json-file", tmp_path / "warm") == 0

    assert await load(usual, "--users", USERS, "--spawn-rate", 2, "--run-time", f"{SECONDS}s") == 0
