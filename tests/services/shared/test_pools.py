"""What a process uses of its connections is in its metrics: real pools, filled."""

import asyncio
import secrets
from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis
from sqlalchemy import text

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from shared.postgres import open_database, opening
from shared.redis import open_redis
from shared.telemetry import Metrics, measuring
from tests.fixtures.apps import open_service
from tests.fixtures.patience import PATIENCE_SECONDS

Gauges = dict[tuple[str, ...], float]


def gauges(exposition: str) -> Gauges:
    """By name and values of the labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposition)
        if family.name.startswith(("pool_", "broker_"))
        for sample in family.samples
    }


async def until(metrics: Metrics, holds: Callable[[Gauges], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds(gauges(metrics.render().decode())):  # noqa: ASYNC110 - nothing tells of a connection
            await asyncio.sleep(0.01)


async def test_redis_tells_what_is_used_idle_and_waited_for(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("_POOL_WAIT_SECONDS", "_CONNECT_SECONDS"):  # sixty-four connect at once
        monkeypatch.setattr(f"shared.redis.{limit}", PATIENCE_SECONDS)
    suite.up(["redis"])
    metrics, url, name = Metrics(), suite.url("redis"), f"pools-{secrets.token_hex(4)}"
    with measuring(metrics.connections):
        async with Redis.from_url(url) as other, open_redis(url, command_seconds=PATIENCE_SECONDS) as redis:
            waits = [asyncio.ensure_future(redis.blpop(name, timeout=0)) for _ in range(70)]
            await until(
                metrics, lambda g: (g["pool_connections", "redis", "used"], g["pool_waiting", "redis"]) == (64, 6)
            )
            await other.rpush(name, *range(70))
            await asyncio.gather(*waits)

            after = gauges(metrics.render().decode())
    assert (after["pool_connections", "redis", "used"], after["pool_connections", "redis", "idle"]) == (0, 64)
    assert after["pool_limit", "redis"] == 64
    assert gauges(metrics.render().decode()) == {}, "what is closed is not told of"


async def test_postgres_tells_what_is_used_idle_and_waited_for(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("_POOL_WAIT_SECONDS", "_CONNECT_SECONDS"):  # twenty connect at once
        monkeypatch.setattr(opening, limit, PATIENCE_SECONDS)
    suite.up(["postgres"])
    metrics, seen = Metrics(), asyncio.Event()
    url = suite.environment("auth")["DATABASE_URL"]
    with measuring(metrics.connections):
        async with open_database(url, "auth", MIGRATIONS) as database:

            async def hold() -> None:
                async with database.session() as session:
                    await session.execute(text("SELECT 1"))
                    await seen.wait()

            holding = [asyncio.create_task(hold()) for _ in range(23)]
            full = (20.0, 3.0)
            await until(
                metrics, lambda g: (g["pool_connections", "postgres", "used"], g["pool_waiting", "postgres"]) == full
            )
            seen.set()
            await asyncio.gather(*holding)

            after = gauges(metrics.render().decode())
    assert (after["pool_connections", "postgres", "used"], after["pool_connections", "postgres", "idle"]) == (0, 20)


async def test_a_service_shows_its_pools_and_whether_the_broker_is_there(suite: Suite, auth: httpx.AsyncClient) -> None:
    away = "amqp://nobody:x@127.0.0.1:1/"

    async with open_service(suite, is_watched=False)("auth", rabbitmq_url=away) as client:  # the scrape reads /proc
        found = gauges((await client.get("/metrics")).text)
    async with asyncio.timeout(PATIENCE_SECONDS):  # a suite that has just started connects beside its answers
        while up(gauges((await auth.get("/metrics")).text)) != {1}:  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.05)

    assert {name[1] for name in found if name[0] == "pool_limit"} == {"postgres", "redis", "http"}
    assert up(found) == {0}


def up(found: Gauges) -> set[float]:
    """Of the connections to the broker: 1 for those that are there, 0 for those that are not."""
    return {value for name, value in found.items() if name[0] == "broker_connection_up"}
