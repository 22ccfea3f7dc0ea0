"""What holds of a key when Redis or the process fails in the middle of its request."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from redis.asyncio import Redis

from local.suite import Suite
from shared.door import ClaimingRoute, IdempotentRoute, Keyed, requires
from shared.identity import Caller
from shared.platform import open_platform
from shared.redis import open_redis
from shared.settings import ServiceSettings
from shared.web import create_service
from tests.fixtures.apps import alive
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.relay import Relay
from tests.services.shared.limited import TRUST, headers_of

BOOKS = "/api/v1/books"


class Shelf:
    """A store that has the key with the effect; requests wait in front of it for `go_on`."""

    def __init__(self) -> None:
        self.made: dict[bytes, str] = {}
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()

    async def put(self, once: Keyed) -> dict[str, str]:
        self.arrived.set()
        await self.go_on.wait()
        if once is None:
            return {"made": secrets.token_hex(4)}
        once.is_repetition = once.digest in self.made
        return {"made": self.made.setdefault(once.digest, secrets.token_hex(4))}


@asynccontextmanager
async def library(redis_url: str, shelf: Shelf) -> AsyncIterator[httpx.AsyncClient]:
    """One replica."""
    creating = APIRouter(prefix="/api/v1/books", route_class=ClaimingRoute)

    @creating.post("", status_code=201)
    async def create(_: Annotated[Caller, requires("things:write")], once: Keyed) -> dict[str, str]:
        return await shelf.put(once)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with open_platform(app, trust=TRUST) as platform:
            yield {"platform": platform}

    settings = ServiceSettings(
        environment="local",
        redis_url=redis_url,
        rabbitmq_url="amqp://127.0.0.1:1",
        cursor_secret="c" * 32,
        discovery="static",
        auth_issuer="test",
    )
    app = create_service("books", settings, title="Books", description="", lifespan=lifespan, routers=[creating])
    async with alive(app) as manager:
        transport = httpx.ASGITransport(manager.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://books", timeout=30) as client:
            client.headers.update(headers_of("reader"))
            yield client


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(8)}


@pytest.fixture
async def relay(suite: Suite) -> AsyncIterator[Relay]:
    suite.up(["redis"])
    relay = Relay(suite.url("redis"))
    await relay.open()
    yield relay
    relay.thaw()
    await relay.close()


async def repeated(client: httpx.AsyncClient, key: dict[str, str]) -> httpx.Response:
    """The first answer that is not "in use" or "not available"."""
    started_at = time.monotonic()
    while (answer := await client.post(BOOKS, headers=key)).status_code in (409, 503):
        assert time.monotonic() - started_at < PATIENCE_SECONDS, answer.text
        await asyncio.sleep(0.05)  # as a client would
    return answer


async def claimed(redis: Redis) -> tuple[str, int]:
    """The claim of the request under way, and the longest that it has, which it is given again and again."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async for name in redis.scan_iter("idempotency:books:*"):
                if 5_000 < (left := await redis.pttl(name)) < 10_000:
                    return name, left


async def test_the_key_of_a_dead_process_is_free_within_ten_seconds(
    suite: Suite, relay: Relay, shelf: Shelf, key: dict[str, str]
) -> None:
    """By the clock of Redis, where the claim says how long it will be there."""
    async with (
        open_redis(suite.url("redis")) as redis,
        library(relay.url, shelf) as dying,
        library(suite.url("redis"), shelf) as other,
    ):
        asking = asyncio.create_task(dying.post(BOOKS, headers=key))
        await shelf.arrived.wait()
        claim, most = await claimed(redis)
        await relay.close()  # from here on it is dead for Redis
        shelf.arrived.clear()
        began, left = time.monotonic(), await redis.pttl(claim)
        repeating = asyncio.create_task(repeated(other, key))
        await shelf.arrived.wait()
        seconds = time.monotonic() - began
        shelf.go_on.set()
        again = await repeating
        late = await asking

    assert 5_000 < most < 10_000
    assert left < 10_000
    assert seconds > left / 1000 - 0.1
    assert (again.status_code, late.json()) == (201, again.json())
    assert len(shelf.made) == 1


async def test_an_answer_leaves_while_redis_is_frozen_and_is_found_afterwards(
    relay: Relay, shelf: Shelf, key: dict[str, str]
) -> None:
    async with library(relay.url, shelf) as client:
        asking = asyncio.create_task(client.post(BOOKS, headers=key))
        await shelf.arrived.wait()
        relay.freeze()
        shelf.go_on.set()
        async with asyncio.timeout(PATIENCE_SECONDS):  # Redis answers no sooner than it is thawed
            first = await asking
        relay.thaw()

        again = await repeated(client, key)

    assert first.status_code == 201
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    assert len(shelf.made) == 1


async def test_a_key_that_came_while_redis_was_frozen_runs_once_afterwards(
    relay: Relay, shelf: Shelf, key: dict[str, str]
) -> None:
    shelf.go_on.set()
    async with library(relay.url, shelf) as client:
        relay.freeze()
        async with asyncio.timeout(PATIENCE_SECONDS):
            refused = await client.post(BOOKS, headers=key)
        relay.thaw()

        again = await repeated(client, key)

    assert (refused.status_code, refused.json()["code"]) == (503, "common.unavailable")
    assert again.status_code == 201
    assert len(shelf.made) == 1


async def test_the_claim_of_a_request_that_takes_long_is_renewed(
    suite: Suite, shelf: Shelf, key: dict[str, str]
) -> None:
    suite.up(["redis"])
    async with library(suite.url("redis"), shelf) as client, open_redis(suite.url("redis")) as redis:
        asking = asyncio.create_task(client.post(BOOKS, headers=key))
        await shelf.arrived.wait()
        [claim] = [name async for name in redis.scan_iter("idempotency:books:*") if await redis.pttl(name) < 10_000]
        left = await redis.pttl(claim)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (now_left := await redis.pttl(claim)) <= left:
                left = now_left
        in_use = await client.post(BOOKS, headers=key)
        shelf.go_on.set()

        assert (await asking).status_code == 201
    assert (in_use.status_code, in_use.json()["code"]) == (409, "common.idempotency_key_in_use")


async def test_an_endpoint_that_does_not_ask_for_the_key_is_refused_at_start() -> None:
    creating = APIRouter(route_class=IdempotentRoute)

    async def create() -> None: ...

    with pytest.raises(TypeError, match="Keyed"):
        creating.post("/x")(create)
