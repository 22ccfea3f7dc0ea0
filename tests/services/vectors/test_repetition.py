"""A request that is repeated under its key when the answer of the first was lost: nothing is there twice."""

import asyncio

import httpx
import pytest

from local.suite import Suite
from shared.schemas import new_id
from tests.fixtures.forgetting import forget_keys, unclaimed
from tests.services.vectors.test_collections import COLLECTIONS, ENGINES

STORE = "/api/v1/vectors/store"


@pytest.fixture
def headers() -> dict[str, str]:
    return {"Idempotency-Key": new_id()}


@pytest.fixture
def name() -> str:
    return f"once-{new_id()[-12:]}"


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_repetition_finds_the_collection_whose_answer_was_lost(
    suite: Suite, client: httpx.AsyncClient, headers: dict[str, str], name: str, engine: str
) -> None:
    body = {"name": name, "engine": engine, "dimension": 2}
    first = await client.post(COLLECTIONS, json=body, headers=headers)
    await forget_keys(suite, "vectors")

    again = await client.post(COLLECTIONS, json=body, headers=headers)
    unkeyed = await client.post(COLLECTIONS, json=body)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (unkeyed.status_code, unkeyed.json()["code"]) == (409, "vectors.collection_exists")


async def test_a_repetition_tells_how_many_records_there_are_by_now(
    suite: Suite, client: httpx.AsyncClient, headers: dict[str, str], name: str
) -> None:
    body = {"name": name, "dimension": 2}
    await client.post(COLLECTIONS, json=body, headers=headers)
    await client.post(STORE, json={"collection": name, "items": [{"vector": [1, 0]}]})
    await forget_keys(suite, "vectors")

    again = await client.post(COLLECTIONS, json=body, headers=headers)

    assert (again.status_code, again.json()["count"]) == (201, 1)


async def test_two_at_once_without_a_claim_make_one_collection(
    suite: Suite, client: httpx.AsyncClient, headers: dict[str, str], name: str
) -> None:
    asking = [
        asyncio.create_task(client.post(COLLECTIONS, json={"name": name, "dimension": 2}, headers=headers))
        for _ in range(4)
    ]
    answers = await unclaimed(suite, "vectors", *asking)

    assert {answer.status_code for answer in answers} == {201}


@pytest.mark.parametrize("engine", ENGINES)
async def test_records_without_an_id_are_stored_once(
    suite: Suite, client: httpx.AsyncClient, headers: dict[str, str], name: str, engine: str
) -> None:
    await client.post(COLLECTIONS, json={"name": name, "engine": engine, "dimension": 2})
    body = {"collection": name, "items": [{"vector": [1, 0]}, {"id": "mine", "vector": [0, 1]}, {"vector": [1, 1]}]}
    first = await client.post(STORE, json=body, headers=headers)
    await forget_keys(suite, "vectors")

    again = await client.post(STORE, json=body, headers=headers)
    other = await client.post(STORE, json=body, headers={"Idempotency-Key": new_id()})

    assert again.json() == first.json()
    assert set(other.json()["ids"]) & set(first.json()["ids"]) == {"mine"}
    assert (await client.get(f"{COLLECTIONS}/{name}")).json()["count"] == 5
