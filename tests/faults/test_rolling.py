"""Both replicas of everything restarted, one after the other, under a steady load: no request fails.

Not vectors: the folder of its own engines has one writer, so it has one replica, and a restart of it is a fault.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from local.suite import Suite
from tests.faults.replicas import MODULES, Second, roll, seconds_of, until
from tests.faults.steady import Edge, Mixed, Send, Steady
from tests.fixtures.identity import User, register_with

RATE = 50.0
LOGINS_RATE = 19.0
_AT_ONCE = 30
pytestmark = pytest.mark.skipif(not os.environ.get("FAULTS"), reason="minutes: `make test-faults`")


@asynccontextmanager
async def edge_of(gateway: httpx.AsyncClient, second: Second | None = None) -> AsyncIterator[tuple[Edge, User]]:
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
    async with (
        httpx.AsyncClient(base_url=gateway.base_url, timeout=30, limits=limits) as one,
        httpx.AsyncClient(base_url=second.url if second else gateway.base_url, timeout=30, limits=limits) as other,
    ):
        yield Edge([one, other] if second else [one]), await register_with(gateway)()


@asynccontextmanager
async def under(load: Steady) -> AsyncIterator[None]:
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.run(over))
        try:
            yield
        finally:
            over.set()


@pytest.mark.timeout(600)
async def test_no_request_fails_while_everything_is_restarted(suite: Suite, brief: httpx.AsyncClient) -> None:
    async with seconds_of(suite, *MODULES) as seconds, edge_of(brief, seconds["gateway"]) as (edge, user):
        mixed = Mixed(edge, user)
        await mixed.prepare()
        await until(mixed.is_quick)  # a store that has just started takes seconds for what comes next
        load = Steady(mixed.sends(), RATE)
        async with under(load):
            for second in seconds.values():
                await roll(suite, second)

    assert load.failures == [], f"{len(load.failures)} of {load.sent}: {load.failures[:5]}"
    assert load.sent > 500
    assert edge.sent_again <= len(MODULES)  # at most one for each that was restarted


@pytest.mark.timeout(300)
async def test_no_login_fails_while_auth_is_restarted(suite: Suite, brief: httpx.AsyncClient) -> None:
    async with seconds_of(suite, "auth") as seconds, edge_of(brief) as (edge, user):
        log_in = Mixed(edge, user).log_in
        load = Steady({log_in: 1}, min(LOGINS_RATE, await _pace(log_in) / 3))  # a replica has a core to itself at most
        async with under(load):
            await roll(suite, seconds["auth"])

    assert load.failures == [], f"{len(load.failures)} of {load.sent}: {load.failures[:5]}"


async def _pace(log_in: Send) -> float:
    """Logins a second that both replicas do together on this machine, as busy as it is."""
    began = time.monotonic()
    await asyncio.gather(*(log_in() for _ in range(_AT_ONCE)))
    return _AT_ONCE / (time.monotonic() - began)
