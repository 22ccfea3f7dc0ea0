"""agents' readiness notices a Neo4j that reads and commits nothing, and a Redis that takes no writes."""

import httpx
import pytest

from local.suite import Suite
from services.agents.graph import Graph
from services.agents.settings import Settings
from shared.redis import open_redis
from tests.fixtures.identity import User
from tests.fixtures.readiness import until_check
from tests.services.agents.conftest import AGENTS

LOCK = "MATCH (p:HealthProbe {instance: $instance}) SET p.token = 'held'"


@pytest.fixture
def instance(settings: Settings) -> str:
    return f"agents-{settings.advertise_host}-{settings.port}"


async def test_a_write_that_does_not_come_through_is_told_and_back_by_itself(
    client: httpx.AsyncClient, graph: Graph, instance: str, user: User
) -> None:
    await until_check(client, "neo4j", "pass")

    async with graph.session(30) as session, await session.begin_transaction() as held:
        await (await held.run(LOCK, instance=instance)).consume()
        told = await until_check(client, "neo4j", "fail")
        assert (await client.get(f"{AGENTS}/list", headers=user.headers)).status_code == 200
        await held.rollback()

    assert told["code"] == 503
    assert told["detail"].endswith("look at its free space and its log, then restart it (`make up`)")
    await until_check(client, "neo4j", "pass")


async def test_health_checks_leave_one_node(client: httpx.AsyncClient, graph: Graph, instance: str) -> None:
    for status in ("pass", "pass"):
        await until_check(client, "neo4j", status)

    async with graph.session(10) as session:
        found = await (await session.run("MATCH (p:HealthProbe) RETURN collect(p.instance)")).single(strict=True)

    assert found[0].count(instance) == 1  # other instances keep theirs


async def test_without_redis_agents_serve_and_warn(client: httpx.AsyncClient, suite: Suite) -> None:
    async with open_redis(suite.url("redis-cache")) as redis:
        before = str((await redis.config_get("maxmemory"))["maxmemory"])
        await redis.config_set("maxmemory", "1")
        try:
            told = await until_check(client, "redis-cache", "warn", code=200)
        finally:
            await redis.config_set("maxmemory", before)

    assert told["code"] == 200
    await until_check(client, "redis-cache", "pass")
