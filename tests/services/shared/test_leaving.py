"""What a caller is told whose request outlives the process."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import httpx
import pytest

from local.layout import REPOSITORY
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.warm import Program, started

SETTINGS = {
    "ENVIRONMENT": "local",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "RABBITMQ_URL": "amqp://127.0.0.1:1",
    "CURSOR_SECRET": "c" * 32,
    "SHUTDOWN_SECONDS": "1",
}


@pytest.fixture
async def slow() -> AsyncIterator[tuple[httpx.AsyncClient, Program]]:
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "PORT": str(port), **SETTINGS}
    process = await started("tests.services.shared.slow_service", environment=environment)
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS, verify=authorities()
        ) as client:
            await until(client, "False")
            yield client, process
    finally:
        process.kill()
        await process.ended()


async def until(client: httpx.AsyncClient, answer: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                if (await client.get("/asked")).text == answer:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def test_a_request_that_is_cut_off_is_told_so(
    slow: tuple[httpx.AsyncClient, Program],
) -> None:
    client, process = slow
    waiting = asyncio.create_task(client.get("/hang"))
    await until(client, "True")

    process.send_signal(signal.SIGTERM)
    answer = await waiting

    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert (answer.headers["retry-after"], answer.headers["connection"]) == ("2", "close")
    assert answer.json()["code"] == "common.unavailable"
    assert await process.ended() == -signal.SIGTERM


async def test_an_answer_under_way_ends_with_its_connection(
    slow: tuple[httpx.AsyncClient, Program],
) -> None:
    client, process = slow
    with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012 - the error comes while the answer is read
        async with client.stream("GET", "/stream") as answer:
            received = answer.aiter_bytes()
            assert await anext(received) == b"begun"
            process.send_signal(signal.SIGTERM)
            await anext(received)
