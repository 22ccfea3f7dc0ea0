"""Whoever has many requests under way, whose bodies come slowly or never, leaves others theirs."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from local.suite import Suite
from shared.platform import platform
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.shared.limited import THINGS, headers_of, things

PLACES = 16  # of which a user has four, a tenant eight, and two are for tenants that hold none


@pytest.fixture
async def client(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["redis"])
    monkeypatch.setattr(platform, "MOST_AT_ONCE", PLACES)
    async with things(suite.url("redis")) as client:
        yield client


class Slow:
    """Bodies that begin, and end once they may."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.go_on = asyncio.Event()
        self._client, self._begun = client, 0
        self._all: list[asyncio.Task[httpx.Response]] = []

    async def _body(self) -> AsyncIterator[bytes]:
        self._begun += 1
        yield b'{"name": '
        await self.go_on.wait()
        yield b'"a"}'

    async def begin(self, number: int, headers: dict[str, str]) -> None:
        """Returns once all have sent some of it."""
        wanted = self._begun + number
        self._all += [
            asyncio.create_task(self._client.post(f"{THINGS}/named", content=self._body(), headers=headers))
            for _ in range(number)
        ]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self._begun < wanted:  # noqa: ASYNC110 - the bodies have no event of their own
                await asyncio.sleep(0.01)

    async def statuses(self) -> list[int]:
        self.go_on.set()
        return [(await one).status_code for one in self._all]


def of_json(**claims: str) -> dict[str, str]:
    return headers_of(**claims) | {"Content-Type": "application/json"}


async def test_a_user_has_a_share_and_has_it_again_afterwards(client: httpx.AsyncClient) -> None:
    user, slow = of_json(tid="one"), Slow(client)
    await slow.begin(PLACES // 4, user)
    beyond = await client.get(THINGS, headers=user)
    colleague, neighbour = (
        await client.get(THINGS, headers=of_json(tid="one")),
        await client.get(THINGS, headers=of_json()),
    )

    assert (beyond.status_code, beyond.json()["code"]) == (429, "common.share_taken")
    assert beyond.headers["retry-after"]
    assert (colleague.status_code, neighbour.status_code) == (200, 200)
    assert await slow.statuses() == [200] * (PLACES // 4)
    assert (await client.get(THINGS, headers=user)).status_code == 200


async def test_a_tenant_has_a_share_and_the_last_places_are_for_newcomers(client: httpx.AsyncClient) -> None:
    slow = Slow(client)
    for tenant, number in (("one", 4), ("one", 4), ("two", 4), ("two", 2)):
        await slow.begin(number, of_json(tid=tenant))
    colleague = await client.get(THINGS, headers=of_json(tid="one"))
    crowded = await client.get(THINGS, headers=of_json(tid="two"))
    newcomer = await client.get(THINGS, headers=of_json())

    assert (colleague.status_code, colleague.json()["code"]) == (429, "common.share_taken")
    assert (crowded.status_code, crowded.json()["code"], crowded.headers["retry-after"]) == (
        503,
        "common.unavailable",
        "1",
    )
    assert newcomer.status_code == 200
    assert await slow.statuses() == [200] * 14


async def test_a_service_asks_for_everybody(client: httpx.AsyncClient) -> None:
    service, slow = of_json(user="service:chat"), Slow(client)
    await slow.begin(PLACES, service)

    assert (await client.get(THINGS, headers=service)).status_code == 200
    assert await slow.statuses() == [200] * PLACES
