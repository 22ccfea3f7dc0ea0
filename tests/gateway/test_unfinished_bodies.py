"""Bodies that do not end: what the gateway holds of them is bounded, and others are served meanwhile."""

import contextlib
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from tests.gateway.running import Gateway, gateway

MEGABYTE = 2**20
CHUNK = b"x" * 65_536


@pytest.fixture
def fresh(tmp_path: Path, services: dict[str, str]) -> Iterator[Gateway]:
    """One that nothing has been through: its memory is what this test made of it."""
    with gateway(tmp_path, services) as running:
        running.client.get("/api/v1/agents/list")
        yield running


def held_megabytes(running: Gateway) -> float:
    process = psutil.Process(running.process.pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / MEGABYTE


def begin(running: Gateway, path: str, size: int, *headers: str) -> socket.socket:
    """A request that promises `size` bytes and goes no further than its head."""
    url = running.client.base_url
    head = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {size}", *headers]
    connection = socket.create_connection((url.host, url.port or 80))
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    connection.setblocking(False)
    return connection


def fill(connection: socket.socket, most: int) -> int:
    """Send up to `most` bytes, until nobody takes them; how many were taken."""
    sent = 0
    with contextlib.suppress(BlockingIOError, ConnectionError):
        while sent < most and select.select([], [connection], [], 0.1)[1]:
            sent += connection.send(CHUNK[: most - sent])
    return sent


def test_a_large_body_is_not_held_while_its_service_does_not_take_it(fresh: Gateway) -> None:
    before = held_megabytes(fresh)
    with ExitStack() as open_ones:
        for _ in range(24):
            connection = begin(fresh, "/api/v1/vectors/store", 32 * MEGABYTE, "X-Test: hang")
            fill(open_ones.enter_context(closing(connection)), 31 * MEGABYTE)

        assert fresh.client.get("/api/v1/agents/list").status_code == 200
        assert held_megabytes(fresh) - before < 96


def test_many_small_bodies_do_not_fill_the_memory(fresh: Gateway) -> None:
    before = held_megabytes(fresh)
    with ExitStack() as open_ones:
        for _ in range(400):
            connection = begin(fresh, "/api/v1/agents/create", 2 * MEGABYTE, "X-Test: hang")
            fill(open_ones.enter_context(closing(connection)), 2 * MEGABYTE - 1024)

        assert fresh.client.get("/api/v1/agents/list").status_code == 200
        assert held_megabytes(fresh) - before < 96
