"""Kill -9 in the middle of many stores: every acknowledged record is there, by its id, its vector and its words.

Killed are vectors, with Qdrant Edge's process; the node that keeps the files of its replicas; and ChromaDB's server.
A thousand stores each with `FAULTS=1` (`make test-faults`), ten thousand with `make kept`; otherwise a hundred, and
each of the three once. A server of Qdrant is not ours to kill. With `FAULTS=1` the node and ChromaDB are also frozen,
for longer than anybody may wait.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
import pytest

from local.suite import Suite
from tests.faults.conftest import FREELY
from tests.faults.kept_records import Keeping
from tests.faults.victims import OfSuite, OfTest, Victim
from tests.fixtures.http import authorities
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.node import NodeProcess, open_node_process, open_vectors_process

STORES: Final = int(os.environ.get("STORES", 1000 if os.environ.get("FAULTS") else 100))
WITH_WORDS: Final = ("qdrant", "faiss")
# What is broken, and the engine whose records are stored through it.
SMOKE: Final = [("vectors", "qdrant"), ("node", "faiss"), ("chromadb", "chroma")]
MORE: Final = [("vectors", "faiss"), ("vectors", "chroma"), ("node", "qdrant")]
CASES: Final = SMOKE + MORE if os.environ.get("FAULTS") else SMOKE
FROZEN: Final = [("node", "faiss"), ("chromadb", "chroma")]
FROZEN_STORES: Final = 400
LIMIT_SECONDS: Final = 4.0
"""Of one call to an engine while what keeps the records is frozen."""
BEYOND_SECONDS: Final = 10.0
every_case = pytest.mark.skipif(not os.environ.get("FAULTS"), reason="with FAULTS=1, as it takes a minute")


def name_of(case: tuple[str, str]) -> str:
    return "-".join(case)


@asynccontextmanager
async def keeping(
    suite: Suite, user: User, folder: Path, case: tuple[str, str], **settings: str
) -> AsyncIterator[tuple[Keeping, Victim]]:
    """An empty collection, and what keeps it."""
    victim, engine = case
    settings |= {name.upper(): value for name, value in FREELY.items()}
    async with AsyncExitStack() as stack:
        node: NodeProcess | None = None
        if victim == "node":
            node = await stack.enter_async_context(open_node_process(suite, folder / "node"))
            settings["FAISS_URL"] = node.url
        vectors = await stack.enter_async_context(open_vectors_process(suite, folder / "vectors", **settings))
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=vectors.url, timeout=40, verify=authorities())
        )
        kept = Keeping(client, user, engine)
        await kept.make()
        try:
            yield kept, OfSuite(suite, victim) if victim == "chromadb" else OfTest(node or vectors)
        finally:
            await kept.remove()


async def assert_all_is_found(kept: Keeping, suite: Suite) -> None:
    kept.user.renew(suite)
    assert await kept.lost_by_id() == []
    kept.user.renew(suite)
    assert await kept.lost_to_searches() == []
    if kept.engine in WITH_WORDS:
        assert await kept.lost_to_keywords() == []
    # One that broke off may be there, whole, or not.
    assert await kept.torn() == []
    assert len(kept.acknowledged) <= await kept.count() <= len(kept.acknowledged) + len(kept.refused)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", CASES, ids=name_of)
async def test_every_acknowledged_record_is_found(
    suite: Suite, register_user: RegisterUser, tmp_path: Path, case: tuple[str, str]
) -> None:
    suite.up(["auth", "redis-cache", "chromadb"])
    async with keeping(suite, await register_user(), tmp_path, case) as (kept, victim):
        await kept.fill(STORES, victim.kill)

        assert len(kept.acknowledged) >= STORES
        await assert_all_is_found(kept, suite)


@every_case
@pytest.mark.timeout(400)
@pytest.mark.parametrize("case", FROZEN, ids=name_of)
async def test_what_is_frozen_keeps_nobody_and_loses_nothing(
    suite: Suite, register_user: RegisterUser, tmp_path: Path, case: tuple[str, str]
) -> None:
    """It stands still for longer than any answer may take: whoever waited for its end would be seen."""
    suite.up(["auth", "redis-cache", "chromadb"])
    limit = {"ENGINE_TIMEOUT_SECONDS": f"{LIMIT_SECONDS}"}
    async with keeping(suite, await register_user(), tmp_path, case, **limit) as (kept, victim):
        await kept.fill(FROZEN_STORES, lambda: victim.freeze(LIMIT_SECONDS + 2 * BEYOND_SECONDS))

        assert kept.statuses
        assert kept.statuses <= {503, 504}
        assert kept.slowest_seconds < LIMIT_SECONDS + BEYOND_SECONDS
        await assert_all_is_found(kept, suite)
