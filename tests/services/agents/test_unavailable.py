"""Neo4j away, hung, back: answers are quick and say so, and the service heals by itself."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from local.suite import Suite
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.fixtures.relay import Relay
from tests.services.agents.conftest import AGENTS, until_ready

# Where a store is waited for. What comes after it is back has the usual time, which a busy machine may need.
BRIEFLY = {"neo4j_wait_seconds": 1.0, "neo4j_connect_seconds": 0.5, "neo4j_pool_wait_seconds": 0.7}
SOON = 30.0  # with some for the machine; a request that nothing bounds is cut off after fifty seconds
CALLS = [
    ("POST", "create", {"name": "x", "instructions": "x"}),
    ("GET", "list", None),
    ("GET", new_id(), None),
    ("PATCH", new_id(), {"model": "m"}),
    ("DELETE", new_id(), None),
]


@asynccontextmanager
async def relayed(
    suite: Suite, service_client: ServiceClient, relay: Relay, **waits: float
) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["redis-cache"])
    async with service_client("agents", neo4j_url=relay.url, neo4j_schema_seconds=10, **waits) as client:
        yield client


def assert_names_the_store(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"].isdigit()
    assert (answer.json()["code"], "neo4j" in answer.json()["detail"]) == ("common.unavailable", True)


async def test_a_service_started_before_its_store_answers_and_heals(
    suite: Suite, service_client: ServiceClient, relay: Relay, user: User
) -> None:
    async with relayed(suite, service_client, relay) as client:
        unready = await client.get("/health/ready")
        for method, path, body in CALLS:
            started = time.monotonic()
            assert_names_the_store(await client.request(method, f"{AGENTS}/{path}", json=body, headers=user.headers))
            assert time.monotonic() - started < SOON
        assert (unready.status_code, unready.json()["checks"]["neo4j"]["status"]) == (503, "fail")
        assert (await client.get("/health/live")).status_code == 200

        await relay.open()
        await until_ready(client)

        assert (await client.get(f"{AGENTS}/list", headers=user.headers)).status_code == 200


async def test_a_store_that_goes_and_comes_back_needs_no_restart(
    suite: Suite, service_client: ServiceClient, relay: Relay, user: User
) -> None:
    await relay.open()
    async with relayed(suite, service_client, relay, neo4j_wait_seconds=3.0) as client:
        assert (await client.get(f"{AGENTS}/list", headers=user.headers)).status_code == 200

        await relay.close()
        started = time.monotonic()
        assert_names_the_store(await client.get(f"{AGENTS}/list", headers=user.headers))
        assert time.monotonic() - started < SOON

        await relay.open()
        assert (await client.get(f"{AGENTS}/list", headers=user.headers)).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=["create", "list", "get", "update", "delete"])
async def test_a_store_that_hangs_is_not_waited_for(
    suite: Suite, service_client: ServiceClient, relay: Relay, user: User, method: str, path: str, body: object
) -> None:
    await relay.open()
    async with relayed(suite, service_client, relay, **BRIEFLY) as client:
        await client.get(f"{AGENTS}/list", headers=user.headers)

        relay.freeze()
        started = time.monotonic()
        answer = await client.request(method, f"{AGENTS}/{path}", json=body, headers=user.headers)

        assert_names_the_store(answer)
        assert time.monotonic() - started < SOON
        relay.thaw()
        await until_ready(client)


async def test_a_service_starts_unready_before_a_store_that_hangs(
    suite: Suite, service_client: ServiceClient, relay: Relay, user: User
) -> None:
    await relay.open()
    relay.freeze()
    async with relayed(suite, service_client, relay, **BRIEFLY) as client:
        assert_names_the_store(await client.get(f"{AGENTS}/list", headers=user.headers))

        relay.thaw()
        await until_ready(client)


async def test_a_refused_password_is_our_trouble_not_the_callers(
    suite: Suite, service_client: ServiceClient, user: User
) -> None:
    suite.up(["neo4j", "redis-cache"])
    async with service_client("agents", neo4j_password="not-the-password") as client:
        assert_names_the_store(await client.get(f"{AGENTS}/list", headers=user.headers))
        assert (await client.get("/health/ready")).status_code == 503


async def test_a_create_that_failed_may_be_repeated_under_its_key(
    suite: Suite, service_client: ServiceClient, relay: Relay, user: User
) -> None:
    headers = user.headers | {"Idempotency-Key": new_id()}
    body = {"name": f"Second try {new_id()}", "instructions": "x"}
    async with relayed(suite, service_client, relay) as client:
        assert_names_the_store(await client.post(f"{AGENTS}/create", json=body, headers=headers))

        await relay.open()
        await until_ready(client)

        assert (await client.post(f"{AGENTS}/create", json=body, headers=headers)).status_code == 201
