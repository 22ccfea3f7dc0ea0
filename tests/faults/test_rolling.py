"""Both replicas of everything restarted, one after the other, under a steady load: no request fails.

The node that keeps the files of vectors has no second: while it is restarted, what asks it waits.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from local.suite import Suite
from tests.faults.replicas import MODULES, Second, restart, roll, seconds_of, until
from tests.faults.steady import Edge, Mixed, Send, Steady
from tests.fixtures.http import authorities
from tests.fixtures.identity import User, register_with
from tests.fixtures.settings import told

RATE = 50.0
LOGINS_RATE = 19.0
LONGEST_SECONDS = 30.0  # all tries of a call together
NODE = "faiss"
_AT_ONCE = 30
pytestmark = pytest.mark.skipif(not os.environ.get("FAULTS"), reason="minutes: `make test-faults`")


@asynccontextmanager
async def edge_of(gateway: httpx.AsyncClient, second: Second | None = None) -> AsyncIterator[tuple[Edge, User]]:
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
    async with (
        httpx.AsyncClient(base_url=gateway.base_url, timeout=30, limits=limits, verify=authorities()) as one,
        httpx.AsyncClient(
            base_url=second.url if second else gateway.base_url, timeout=30, limits=limits, verify=authorities()
        ) as other,
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


@asynccontextmanager
async def with_node(suite: Suite, *components: str) -> AsyncIterator[None]:
    """These of the suite, or all, with a vectors that keeps nothing itself."""
    await asyncio.to_thread(suite.stop, "vectors")  # whose files the node takes over
    with told(suite, SUTAZAI_FAISS_NODE="on"):
        try:
            await asyncio.to_thread(suite.up, components or None)
            yield
        finally:
            for name in ("vectors", NODE):
                await asyncio.to_thread(suite.stop, name)


@pytest.mark.timeout(300)
async def test_nothing_of_vectors_fails_while_it_and_its_node_are_restarted(suite: Suite) -> None:
    suite.up(["auth", "gateway"])
    gateway = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{suite.site.ports['gateway']}", timeout=60, verify=authorities()
    )
    async with (
        gateway,
        with_node(suite, "auth", "vectors", "gateway"),
        seconds_of(suite, "vectors") as seconds,
        edge_of(gateway) as (edge, user),
    ):
        mixed = Mixed(edge, user)
        await mixed.make_collections()
        rate = min(RATE, await _pace(mixed.store) / 5)  # what waited for the node is done beside what comes meanwhile
        load = Steady({mixed.search: 1, mixed.store: 1}, rate)
        async with under(load):
            await restart(suite, NODE)
            await roll(suite, seconds["vectors"])
            await restart(suite, NODE)

    assert load.failures == [], f"{len(load.failures)} of {load.sent}: {load.failures[:5]}"
    assert load.longest_seconds < LONGEST_SECONDS


@pytest.mark.timeout(600)
async def test_no_request_fails_while_everything_is_restarted(suite: Suite, brief: httpx.AsyncClient) -> None:
    async with (
        with_node(suite),
        seconds_of(suite, *MODULES) as seconds,
        edge_of(brief, seconds["gateway"]) as (edge, user),
    ):
        mixed = Mixed(edge, user)
        await mixed.prepare()
        await until(mixed.is_quick)  # a store that has just started takes seconds for what comes next
        load = Steady(mixed.sends(), RATE)
        async with under(load):
            for second in seconds.values():
                await roll(suite, second)
            await restart(suite, NODE)

    assert load.failures == [], f"{len(load.failures)} of {load.sent}: {load.failures[:5]}"
    assert load.sent > 500
    assert load.longest_seconds < LONGEST_SECONDS
    assert edge.sent_again <= len(MODULES)  # at most one for each that was restarted


@pytest.mark.timeout(300)
async def test_no_login_fails_while_auth_is_restarted(suite: Suite, brief: httpx.AsyncClient) -> None:
    async with seconds_of(suite, "auth") as seconds, edge_of(brief) as (edge, user):
        log_in = Mixed(edge, user).log_in
        load = Steady({log_in: 1}, min(LOGINS_RATE, await _pace(log_in) / 3))  # a replica has a core to itself at most
        async with under(load):
            await roll(suite, seconds["auth"])

    assert load.failures == [], f"{len(load.failures)} of {load.sent}: {load.failures[:5]}"


async def _pace(send: Send) -> float:
    """How many of it a second both replicas do together on this machine, as busy as it is."""
    began = time.monotonic()
    await asyncio.gather(*(send() for _ in range(_AT_ONCE)))
    return _AT_ONCE / (time.monotonic() - began)
