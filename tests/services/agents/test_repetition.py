"""A create that is repeated under its key: there is one agent, and no Redis is needed to know it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from neo4j import AsyncManagedTransaction

from local.suite import Suite
from services.agents.graph import Graph
from services.agents.keys import forget_old_keys
from shared.loops import in_background
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.relay import Relay
from tests.services.agents.conftest import AGENTS, PATIENT, until_ready

BOLT_COMMIT = b"\xb0\x12"  # a message without fields


@pytest.fixture
def headers(user: User) -> dict[str, str]:
    return user.headers | {"Idempotency-Key": new_id()}


@pytest.fixture
def body() -> dict[str, str]:
    return {"name": f"Once {new_id()}x", "instructions": "Answer briefly."}


async def test_a_repetition_finds_the_agent(
    client: httpx.AsyncClient, headers: dict[str, str], body: dict[str, str]
) -> None:
    first = await client.post(f"{AGENTS}/create", json=body, headers=headers)

    again = await client.post(f"{AGENTS}/create", json=body, headers=headers)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]


async def test_another_body_under_the_key_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str], body: dict[str, str]
) -> None:
    await client.post(f"{AGENTS}/create", json=body, headers=headers)

    other = await client.post(f"{AGENTS}/create", json=body | {"name": f"Other {new_id()}x"}, headers=headers)

    assert (other.status_code, other.json()["code"]) == (422, "common.idempotency_key_reused")


async def test_an_agent_that_was_deleted_is_not_made_again(
    client: httpx.AsyncClient, headers: dict[str, str], body: dict[str, str]
) -> None:
    first = await client.post(f"{AGENTS}/create", json=body, headers=headers)
    await client.delete(f"{AGENTS}/{first.json()['id']}", headers=headers)

    again = await client.post(f"{AGENTS}/create", json=body, headers=headers)

    assert (again.status_code, again.json()["code"]) == (404, "agents.not_found")


async def test_many_at_once_on_two_replicas_make_one_agent(
    client: httpx.AsyncClient, service_client: ServiceClient, headers: dict[str, str], body: dict[str, str]
) -> None:
    async with service_client("agents", redis_url="redis://127.0.0.1:1/0", **PATIENT) as other:
        answers = await asyncio.gather(
            *(one.post(f"{AGENTS}/create", json=body, headers=headers) for one in (client, other) * 3)
        )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_a_create_behind_a_503_is_found_by_the_repetition(
    suite: Suite, service_client: ServiceClient, relay: Relay, headers: dict[str, str], body: dict[str, str]
) -> None:
    await relay.open()
    for seconds in (1.0, 5.0, 25.0):  # for a machine that does not come to the commit any sooner
        headers, body = headers | {"Idempotency-Key": new_id()}, body | {"name": f"Once {new_id()}x"}
        async with service_client("agents", neo4j_url=relay.url, neo4j_wait_seconds=seconds) as client:
            await client.get(f"{AGENTS}/list", headers=headers)
            relay.lose_answers_after(BOLT_COMMIT, of=b"CREATE (a:Agent ")
            refused = await client.post(f"{AGENTS}/create", json=body, headers=headers)
            is_committed = relay.loses_answers
            relay.thaw()
            await until_ready(client)

            async with asyncio.timeout(PATIENCE_SECONDS):
                while (again := await client.post(f"{AGENTS}/create", json=body, headers=headers)).status_code == 503:
                    pass
        if is_committed:
            break

    assert is_committed
    assert refused.status_code == 503
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (201, "true")


async def test_keys_of_yesterday_are_forgotten(
    client: httpx.AsyncClient, graph: Graph, headers: dict[str, str], body: dict[str, str]
) -> None:
    made = (await client.post(f"{AGENTS}/create", json=body, headers=headers)).json()["id"]

    async def age(transaction: AsyncManagedTransaction) -> None:
        statement = "MATCH (k:IdempotencyKey {agent_id: $id}) SET k.created_at = $at"
        await (await transaction.run(statement, id=made, at=datetime.now(UTC) - timedelta(hours=25))).consume()

    async def count(transaction: AsyncManagedTransaction) -> Any:
        result = await transaction.run("MATCH (k:IdempotencyKey {agent_id: $id}) RETURN count(k)", id=made)
        return (await result.single(strict=True))[0]

    await graph.write(age)
    async with asyncio.timeout(PATIENCE_SECONDS), in_background(forget_old_keys(graph)):
        while await graph.read(count):  # noqa: ASYNC110 - what is waited for is elsewhere
            await asyncio.sleep(0.02)
