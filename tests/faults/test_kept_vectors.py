"""Kill -9 in the middle of many stores: every acknowledged record is there, by its id, its vector and its words.

Killed are vectors, with Qdrant Edge's process; the node that keeps the files of its replicas; and ChromaDB's server.
10,000 stores each with `FAULTS=1` (`make test-faults`); otherwise a hundred,
and each of the three once. A Qdrant server is not ours to kill.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from local.suite import Suite
from tests.faults.conftest import FREELY
from tests.faults.kept_records import Keeping
from tests.fixtures.http import authorities
from tests.fixtures.identity import RegisterUser
from tests.fixtures.node import NodeProcess, open_node_process, open_vectors_process

STORES: Final = 10_000 if os.environ.get("FAULTS") else 100
WITH_WORDS: Final = ("qdrant", "faiss")
# What is killed, and the engine whose records are stored through it.
SMOKE: Final = [("vectors", "qdrant"), ("node", "faiss"), ("chromadb", "chroma")]
MORE: Final = [("vectors", "faiss"), ("vectors", "chroma"), ("node", "qdrant")]
CASES: Final = SMOKE + MORE if os.environ.get("FAULTS") else SMOKE
Strike = Callable[[], Awaitable[None]]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
async def keeping(
    request: pytest.FixtureRequest, suite: Suite, register_user: RegisterUser, tmp_path: Path
) -> AsyncIterator[tuple[Keeping, Strike]]:
    """An empty collection, and how what keeps it is killed and started again."""
    killed, engine = request.param
    suite.up(["auth", "redis-cache", "chromadb"])
    async with AsyncExitStack() as stack:
        settings = {name.upper(): value for name, value in FREELY.items()}
        node: NodeProcess | None = None
        if killed == "node":
            node = await stack.enter_async_context(open_node_process(suite, tmp_path / "node"))
            settings["FAISS_URL"] = node.url
        vectors = await stack.enter_async_context(open_vectors_process(suite, tmp_path / "vectors", **settings))

        async def strike() -> None:
            if killed == "chromadb":
                await asyncio.to_thread(suite.kill, killed)
                await asyncio.to_thread(suite.start, killed)
                return
            process = node or vectors
            await process.kill()
            await process.start()

        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=vectors.url, timeout=40, verify=authorities())
        )
        kept = Keeping(client, await register_user(), engine)
        await kept.make()
        yield kept, strike
        await kept.remove()


@pytest.mark.timeout(1200)
async def test_every_acknowledged_record_is_found(suite: Suite, keeping: tuple[Keeping, Strike]) -> None:
    kept, strike = keeping

    await kept.fill(STORES, strike)
    kept.user.renew(suite)

    assert len(kept.acknowledged) >= STORES
    assert await kept.lost_by_id() == []
    kept.user.renew(suite)
    assert await kept.lost_to_searches() == []
    if kept.engine in WITH_WORDS:
        assert await kept.lost_to_keywords() == []
    # One that broke off may be there, whole, or not.
    assert len(kept.acknowledged) <= await kept.count() <= len(kept.acknowledged) + kept.refused
