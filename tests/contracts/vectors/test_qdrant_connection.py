"""The way to a Qdrant server: back soon after it, opened off the event loop, and exact about a key that is wrong."""

import asyncio
import itertools
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import pytest

from services.vectors.adapters.probing import reserved
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.adapters.qdrant_server import QdrantServerEngine
from services.vectors.domain import EngineName
from services.vectors.errors import EngineKeyRefused
from shared.errors import Unavailable
from tests.contracts.vectors.qdrant_server import GRPC_PORT, free_host, grpc_server, rest_server
from tests.fixtures.patience import PATIENCE_SECONDS

ANY = reserved(EngineName.QDRANT)
# Refusals after which gRPC's own pause between two attempts is longer than what is allowed here.
_DOWN_SECONDS = 9.0
_BACK_SECONDS = 2.0


@asynccontextmanager
async def engine_at(url: str | None, key: str | None = None) -> AsyncIterator[QdrantServerEngine]:
    connection = QdrantConnection(url, key, timeout_seconds=PATIENCE_SECONDS)
    try:
        yield QdrantServerEngine(connection)
    finally:
        await connection.aclose()


async def until(engine: QdrantServerEngine, *, serves: bool) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await does_serve(engine) is not serves:  # noqa: ASYNC110 - the condition is in another thread of gRPC's
            await asyncio.sleep(0.02)


async def does_serve(engine: QdrantServerEngine) -> bool:
    try:
        await engine.holds(ANY)
    except Unavailable:
        return False
    return True


async def least_pause(engine: QdrantServerEngine, host: str) -> float:
    """Between attempts to connect, of three: a busy machine makes any of them longer."""
    tried_at: list[float] = []

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tried_at.append(time.monotonic())
        writer.close()

    async with await asyncio.start_server(hang_up, host, GRPC_PORT), asyncio.timeout(PATIENCE_SECONDS):
        while len(tried_at) < 4:
            await until(engine, serves=False)
            await asyncio.sleep(0.02)
    return min(later - earlier for earlier, later in itertools.pairwise(tried_at))


async def test_it_is_back_soon_after_the_server() -> None:
    host = free_host()
    async with engine_at(f"http://{host}:{GRPC_PORT}") as engine:
        async with grpc_server(host):
            await engine.holds(ANY)
        await until(engine, serves=False)
        given_up_at = time.monotonic() + _DOWN_SECONDS
        while time.monotonic() < given_up_at:  # each call would have it try again, if it were time to
            await until(engine, serves=False)
            await asyncio.sleep(0.05)

        assert await least_pause(engine, host) < _BACK_SECONDS
        async with grpc_server(host):
            await until(engine, serves=True)


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_a_wrong_key_is_said_to_be_one_over_grpc(key: str | None) -> None:
    host = free_host()
    async with grpc_server(host, key="right"):
        async with engine_at(f"http://{host}:{GRPC_PORT}", key) as engine:
            with pytest.raises(EngineKeyRefused, match="QDRANT_API_KEY"):
                await engine.holds(ANY)
        async with engine_at(f"http://{host}:{GRPC_PORT}", "right") as engine:
            await engine.holds(ANY)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_is_said_to_be_one_over_rest(status: int) -> None:
    async with rest_server(status) as url, engine_at(url, "wrong") as engine:
        with pytest.raises(EngineKeyRefused, match="QDRANT_API_KEY"):
            await engine.holds(ANY)


async def test_the_client_is_made_off_the_event_loop_and_again_after_a_failure() -> None:
    import qdrant_client

    made_in: list[threading.Thread] = []

    def client(*args: Any, **kwargs: Any) -> Any:
        made_in.append(threading.current_thread())
        if len(made_in) == 1:
            raise OSError("no file descriptor is left")
        return real(*args, **kwargs)

    real = qdrant_client.AsyncQdrantClient
    with mock.patch.object(sys.modules["qdrant_client"], "AsyncQdrantClient", client):
        async with engine_at(None) as engine:
            with pytest.raises(Unavailable):
                await engine.holds(ANY)
            await engine.holds(ANY)
            await engine.holds(ANY)

    assert len(made_in) == 2
    assert threading.main_thread() not in made_in
