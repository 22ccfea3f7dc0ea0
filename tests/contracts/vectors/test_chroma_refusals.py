"""What ChromaDB refuses is told as what it is, over a real server that refuses."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from local.suite import Suite
from services.vectors.adapters.chroma import ChromaEngine
from services.vectors.adapters.chroma_api import ChromaFailed
from services.vectors.domain import EngineName
from services.vectors.errors import EngineKeyRefused
from shared.errors import Unavailable
from tests.contracts.vectors.conftest import COSINE, a_collection
from tests.contracts.vectors.qdrant_server import rest_server

Open = Callable[[str | None], ChromaEngine]


async def asked(status: int) -> None:
    async with rest_server(status) as url:
        engine = ChromaEngine(url, 5)
        try:
            await engine.check()
        finally:
            await engine.aclose()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_credential_is_said_to_be_one(status: int) -> None:
    with pytest.raises(EngineKeyRefused, match="CHROMADB_URL"):
        await asked(status)


@pytest.mark.parametrize("status", [429, 500, 503, 507])
async def test_what_it_cannot_do_now_may_be_tried_again(status: int) -> None:
    with pytest.raises(Unavailable):
        await asked(status)


async def test_what_should_not_have_been_asked_is_a_fault_of_ours() -> None:
    with pytest.raises(ChromaFailed):
        await asked(400)


@pytest.fixture
async def open_engine(suite: Suite) -> AsyncIterator[Open]:
    """The real server's engine, of a tenant."""
    suite.up(["chromadb"])
    async with AsyncExitStack() as stack:

        def opened(tenant: str | None) -> ChromaEngine:
            engine = ChromaEngine(suite.url("chromadb"), 30, tenant)
            stack.push_async_callback(engine.aclose)
            return engine

        yield opened


async def test_a_wrong_tenant_is_named_and_is_no_loss(open_engine: Open) -> None:
    """An owner who is told that a collection is lost may delete it."""
    wrong, collection = open_engine("of-nobody"), a_collection(engine=EngineName.CHROMA)

    for ask in (
        wrong.check(),
        wrong.holds(collection),
        wrong.find(collection, "1"),
        wrong.create_collection(collection),
    ):
        with pytest.raises(EngineKeyRefused, match="CHROMADB_TENANT"):
            await ask
    with pytest.raises(EngineKeyRefused, match="CHROMADB_TENANT"):
        await wrong.drop_collection(collection)


async def test_a_server_is_used_without_a_tenant_of_its_own(open_engine: Open) -> None:
    engine, collection = open_engine(None), a_collection(engine=EngineName.CHROMA)
    await engine.create_collection(collection)
    await engine.upsert(collection, [COSINE.record("1", 1, 0, 0, 0)])

    assert await engine.count(collection) == 1
    await engine.drop_collection(collection)
    assert not await engine.holds(collection)
