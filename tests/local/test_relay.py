"""The relay that tests put before a server: once it is closed, nobody gets through, in whatever moment they came."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from socket import create_connection, socket

import pytest

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.relay import Relay


@pytest.fixture
async def echoing() -> AsyncIterator[str]:
    """The address of a server that says what it is told."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            writer.write(said)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def heard(connection: socket) -> bytes:
    """What comes back of a word; nothing where the connection ends."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with suppress(OSError):
            await loop.sock_sendall(connection, b"hello")
            return await loop.sock_recv(connection, 100)
    return b""


@pytest.mark.parametrize("steps", range(8))
async def test_whoever_came_in_the_moment_it_was_closed_is_cut_off(echoing: str, steps: int) -> None:
    relay = Relay(echoing)
    await relay.open()
    with create_connection(("127.0.0.1", relay.port)) as connection:
        connection.setblocking(False)
        for _ in range(steps):
            await asyncio.sleep(0)
        await relay.close()

        assert await heard(connection) == b""


async def test_without_a_server_behind_it_a_connection_ends() -> None:
    relay = Relay(f"http://127.0.0.1:{free_port()}")
    await relay.open()
    with create_connection(("127.0.0.1", relay.port)) as connection:
        connection.setblocking(False)
        assert await heard(connection) == b""
    await relay.close()
