"""What ChromaDB refuses is told as what it is, over a real server that refuses."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

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


@asynccontextmanager
async def deleting_server(times: int) -> AsyncIterator[str]:
    """Its first `times` reads meet a record that another request deletes; then there is none."""
    reads = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reads
        status = 200
        body: dict[str, Any] = {"id": "one", "metadata": {"has_places": "yes"}}
        if (await reader.readuntil(b"\r\n\r\n")).startswith(b"POST"):
            reads += 1
            gone = "Error executing plan: Internal error: Error finding id"
            body = {"ids": [], "documents": [], "metadatas": [], "embeddings": []}
            if reads <= times:
                status, body = 500, {"error": "InternalError", "message": gone}
        content = json.dumps(body)
        head = f"HTTP/1.1 {status} Told\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        writer.write(f"{head}{content}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_read_that_meets_a_deletion_is_made_again() -> None:
    """ChromaDB looks twice, and fails where a record went in between: one of 120 requests at once on one id."""
    collection = a_collection(engine=EngineName.CHROMA)
    async with deleting_server(times=5) as url:
        engine = ChromaEngine(url, 5)
        assert await engine.find(collection, "a") is None
        await engine.aclose()
    async with deleting_server(times=100) as url:
        engine = ChromaEngine(url, 5)
        with pytest.raises(Unavailable):
            await engine.find(collection, "a")
        await engine.aclose()
