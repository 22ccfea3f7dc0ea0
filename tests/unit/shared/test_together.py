"""Who waits for auth waits together: one that says nothing is asked once for all of them."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from shared import deadlines
from shared.errors import UpstreamTimeout
from shared.identity import Changes, RevocationFeed, ServiceIdentity
from tests.fixtures.patience import PATIENCE_SECONDS


class Auth:
    """Says nothing until it is thawed; `calls` is how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.is_frozen = True
        self.is_asked, self.patience = asyncio.Event(), asyncio.Event()

    async def call(self, *_: object, timeout_seconds: float, **__: object) -> httpx.Response:
        await self._asked(timeout_seconds)
        return httpx.Response(200, json={"access_token": "token", "expires_in": 300})

    async def changes(self, since: float) -> Changes:
        await self._asked(3.0)
        return Changes(1_000.0, [], [])

    async def learn(self, key_ids: object) -> None:
        """It knows them."""

    async def _asked(self, seconds: float) -> None:
        self.calls += 1
        self.is_asked.set()
        if not deadlines.remaining(seconds) >= 1.0:
            raise UpstreamTimeout("auth")
        if self.is_frozen:
            await self.patience.wait()
        if self.is_frozen:
            raise UpstreamTimeout("auth")


@pytest.fixture
async def auth() -> Auth:
    return Auth()


@pytest.mark.parametrize("wants", ["token", "revocations"])
async def test_many_who_wait_for_a_frozen_auth_ask_it_once(auth: Auth, wants: str) -> None:
    stub: Any = auth
    ask = ServiceIdentity(stub, "chat", "secret").token if wants == "token" else RevocationFeed(stub, stub).current

    async with asyncio.timeout(PATIENCE_SECONDS):
        waiting = [asyncio.create_task(ask()) for _ in range(20)]
        await auth.is_asked.wait()
        await asyncio.sleep(0)
        auth.patience.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {UpstreamTimeout}
    assert auth.calls == 1
    auth.is_frozen = False
    await ask()
    assert auth.calls == 2


async def test_who_has_no_time_left_fails_nobody_else(auth: Auth) -> None:
    stub: Any = auth
    identity = ServiceIdentity(stub, "chat", "secret")
    auth.is_frozen = False

    with deadlines.limited(0.001):
        assert await identity.token() == "token"


async def test_who_gives_up_in_the_midst_leaves_the_attempt_to_the_others(auth: Auth) -> None:
    stub: Any = auth
    identity = ServiceIdentity(stub, "chat", "secret")
    first, second = asyncio.create_task(identity.token()), asyncio.create_task(identity.token())
    await auth.is_asked.wait()

    first.cancel()
    auth.is_frozen = False
    auth.patience.set()

    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await second == "token"
    assert auth.calls == 1


@pytest.fixture
async def reported() -> AsyncIterator[list[dict[str, Any]]]:
    """What the loop is told that nobody took."""
    loop, found = asyncio.get_running_loop(), list[dict[str, Any]]()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(before)


async def test_a_failure_that_everybody_has_left_is_nobodys(auth: Auth, reported: list[dict[str, Any]]) -> None:
    stub: Any = auth
    only = asyncio.create_task(ServiceIdentity(stub, "chat", "secret").token())
    await auth.is_asked.wait()
    only.cancel()
    await asyncio.wait([only])
    [attempt] = [task for task in asyncio.all_tasks() if task.get_name() == "token of our own"]

    auth.patience.set()
    await asyncio.wait([attempt], timeout=PATIENCE_SECONDS)
    assert attempt.done()
    del attempt
    gc.collect()

    assert reported == []


async def test_what_woke_us_is_asked_for_anew(auth: Auth) -> None:
    stub: Any = auth
    feed = RevocationFeed(stub, stub)
    first = asyncio.create_task(feed.current())
    await auth.is_asked.wait()
    following = asyncio.create_task(feed.run())
    await asyncio.sleep(0)  # it waits for the attempt that is on its way
    assert auth.calls == 1

    auth.is_frozen = False
    auth.patience.set()
    await first
    async with asyncio.timeout(PATIENCE_SECONDS):
        while auth.calls < 2:  # noqa: ASYNC110 - another task asks
            await asyncio.sleep(0)
    following.cancel()
    await asyncio.wait([following])
