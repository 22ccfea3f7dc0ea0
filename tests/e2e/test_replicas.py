"""Replicas come and go without a restart of the gateway, and killing one is hardly noticed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from local.layout import REPOSITORY
from local.suite import Suite
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.stores import consul_headers

PATH = "/api/v1/auth/jwks.json"


@contextmanager
def replica(suite: Suite) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A second auth process on the same stores, and its port."""
    port = free_port()
    environment = suite.environment("auth") | {"PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.auth"], cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL
    )
    try:
        yield process, port
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)


async def passing(suite: Suite) -> list[int]:
    """The ports of auth's processes that do their work, as Consul knows them."""
    place = f"{suite.url('consul')}/v1/health/service/auth"
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, verify=authorities()) as client:
        answer = await client.get(place, params={"passing": "1"}, headers=consul_headers(suite))
    return [one["Service"]["Port"] for one in answer.raise_for_status().json()]


async def is_led_to(suite: Suite, gateway: httpx.AsyncClient, port: int) -> None:
    """Waits until Consul and the gateway know that very one: others of earlier may be known for a while."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while port not in await passing(suite):  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.2)
    await instances(gateway, 2)


async def instances_known(gateway: httpx.AsyncClient) -> int:
    return int((await gateway.get("/api/v1/health/check")).json()["checks"]["auth"]["instances"])


async def instances(gateway: httpx.AsyncClient, expected: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await instances_known(gateway)) != expected:  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.2)


async def statuses(gateway: httpx.AsyncClient, count: int) -> list[int]:
    return [(await gateway.get(PATH)).status_code for _ in range(count)]


async def test_killing_one_of_two_costs_at_most_two_requests(suite: Suite, gateway: httpx.AsyncClient) -> None:
    with replica(suite) as (process, port):
        await is_led_to(suite, gateway, port)
        before = await statuses(gateway, 50)
        os.kill(process.pid, signal.SIGKILL)
        during = await statuses(gateway, 100)
        afterwards = await statuses(gateway, 200)

    assert before == [200] * 50
    assert sum(status != 200 for status in during) <= 2, during
    assert afterwards == [200] * 200


async def test_a_replica_that_is_told_to_stop_costs_none(suite: Suite, gateway: httpx.AsyncClient) -> None:
    seen: list[int] = []
    with replica(suite) as (process, port):
        await is_led_to(suite, gateway, port)
        process.terminate()
        while process.poll() is None:
            seen += await statuses(gateway, 5)
        seen += await statuses(gateway, 50)

    assert set(seen) == {200}
    await instances(gateway, 1)
