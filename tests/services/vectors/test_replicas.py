"""Two replicas of vectors on one node: they see the same, and the node's restart costs nobody a request."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.vectors.adapters import node_connection
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.node import NodeProcess, open_node_process
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.readiness import until_check
from tests.fixtures.working_time import working_time
from tests.services.vectors.conftest import Pair

COLLECTIONS, STORE, SEARCH = "/api/v1/vectors/collections", "/api/v1/vectors/store", "/api/v1/vectors/search"
ENGINES = ["qdrant", "chroma", "faiss"]


def name() -> str:
    return f"n-{new_id()[-12:]}"


async def store(client: httpx.AsyncClient, collection: str, *items: dict[str, Any]) -> httpx.Response:
    return await client.post(STORE, json={"collection": collection, "items": list(items)})


async def found(client: httpx.AsyncClient, collection: str, *vector: float) -> Any:
    answer = await client.post(SEARCH, json={"collection": collection, "vector": list(vector)})
    return [match["id"] for match in answer.json()["results"]] if answer.is_success else answer.json()["code"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_one_stores_the_other_finds(pair: Pair, engine: str) -> None:
    one, other = pair
    collection = name()

    made = await one.post(COLLECTIONS, json={"name": collection, "engine": engine, "dimension": 2})
    stored = await store(other, collection, {"id": "a", "vector": [3, 4], "metadata": {"n": 1}})
    await store(one, collection, {"id": "b", "vector": [4, 3]})

    assert (made.status_code, stored.status_code) == (201, 200), stored.text
    assert await found(one, collection, 3, 4) == await found(other, collection, 3, 4) == ["a", "b"]
    assert (await other.delete(f"{COLLECTIONS}/{collection}/records/b")).status_code == 204
    assert (await one.get(f"{COLLECTIONS}/{collection}")).json()["count"] == 1
    assert collection in [
        item["name"] for item in (await other.get(COLLECTIONS, params={"limit": 100})).json()["items"]
    ]


@pytest.mark.parametrize("engine", ENGINES)
async def test_identical_creations_at_once_are_made_once(pair: Pair, engine: str) -> None:
    body = {"name": name(), "engine": engine, "dimension": 2}

    answers = await asyncio.gather(*(pair[at % 2].post(COLLECTIONS, json=body) for at in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_was_deleted_and_made_anew_is_seen_anew(pair: Pair, engine: str) -> None:
    """Each replica remembers which collection has a name; its engine says when that is gone."""
    one, other = pair
    collection = name()
    body = {"name": collection, "engine": engine, "metric": "l2"}
    await one.post(COLLECTIONS, json=body | {"dimension": 2})
    await store(one, collection, {"id": "old", "vector": [1, 2]})
    assert await found(other, collection, 1, 2) == ["old"]

    assert (await one.delete(f"{COLLECTIONS}/{collection}")).status_code == 204
    assert await found(other, collection, 1, 2) == "vectors.collection_not_found"
    assert await found(other, collection, 1, 2) == "vectors.collection_not_found"
    await one.post(COLLECTIONS, json=body | {"dimension": 2})
    await store(one, collection, {"id": "new", "vector": [1, 2]})
    assert await found(other, collection, 1, 2) == ["new"]

    await one.delete(f"{COLLECTIONS}/{collection}")
    await one.post(COLLECTIONS, json=body | {"dimension": 3})
    assert (await store(one, collection, {"id": "wide", "vector": [1, 2, 3]})).status_code == 200
    assert await found(other, collection, 1, 2) == "vectors.dimension_mismatch"  # of what the name means now
    assert await found(other, collection, 1, 2, 3) == ["wide"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_switch_through_one_is_seen_by_the_next_request_to_the_other(pair: Pair, engine: str) -> None:
    """Both collections stay, so no engine tells a replica that it remembers the wrong one."""
    one, other = pair
    blue, green, alias = name(), name(), name()
    for collection in (blue, green):
        await one.post(COLLECTIONS, json={"name": collection, "engine": engine, "dimension": 2})
        await store(one, collection, {"id": collection, "vector": [1, 0]})
    place = f"/api/v1/vectors/aliases/{alias}"

    for _ in range(5):
        for collection in (blue, green):
            assert (await one.put(place, json={"collection": collection})).is_success
            assert await found(other, alias, 1, 0) == [collection]
            assert (await other.delete(f"{COLLECTIONS}/{collection}")).status_code == 409
    assert (await other.post(COLLECTIONS, json={"name": alias})).json()["code"] == "vectors.alias_exists"
    assert (await other.delete(place)).status_code == 204
    assert await found(one, alias, 1, 0) == "vectors.collection_not_found"


async def test_what_was_a_collection_and_is_an_alias_now_is_seen_anew(pair: Pair) -> None:
    one, other = pair
    was, target = name(), name()
    for collection in (was, target):
        await store(one, collection, {"id": collection, "vector": [1, 0]})
    assert await found(other, was, 1, 0) == [was]

    assert (await one.delete(f"{COLLECTIONS}/{was}")).status_code == 204
    assert (await one.put(f"/api/v1/vectors/aliases/{was}", json={"collection": target})).status_code == 201

    assert await found(other, was, 1, 0) == [target]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_write_under_way_does_not_bring_back_what_is_deleted(pair: Pair, engine: str) -> None:
    one, other = pair
    collection = name()
    body = {"name": collection, "engine": engine, "dimension": 2}
    for _ in range(5):
        assert (await one.post(COLLECTIONS, json=body)).status_code == 201
        await store(other, collection, {"id": "first", "vector": [1, 0]})
        stores = [asyncio.create_task(store(other, collection, {"id": f"{at}", "vector": [1, 0]})) for at in range(10)]
        assert (await one.delete(f"{COLLECTIONS}/{collection}")).status_code == 204
        answers = [answer.status_code for answer in await asyncio.gather(*stores)]

        assert set(answers) <= {200, 404}
        assert await found(one, collection, 1, 0) == await found(other, collection, 1, 0) or 200 in answers
        await one.delete(f"{COLLECTIONS}/{collection}")  # a store that came after it made one by that name
        assert await found(other, collection, 1, 0) == "vectors.collection_not_found"


async def test_a_neighbour_meets_nothing_through_either(pair: Pair, register_user: RegisterUser) -> None:
    one, other = pair
    neighbour = (await register_user()).headers
    collection = name()
    await store(one, collection, {"id": "a", "vector": [1, 0]})

    for client in (one, other):
        answer = await client.post(SEARCH, json={"collection": collection, "vector": [1, 0]}, headers=neighbour)
        assert (answer.status_code, answer.json()["code"]) == (404, "vectors.collection_not_found")


async def test_a_large_body_comes_through_whole(pair: Pair) -> None:
    one, other = pair
    collection = name()
    await one.post(COLLECTIONS, json={"name": collection, "engine": "faiss", "dimension": 384, "metric": "dot"})
    items = [
        {"id": f"{at}", "vector": [at + 1 / 7] * 384, "text": "ü" * 1000, "metadata": {"$": "x"}} for at in range(1000)
    ]

    assert (await store(one, collection, *items)).status_code == 200
    record = (await other.get(f"{COLLECTIONS}/{collection}/records/999")).json()

    assert (record["text"], record["metadata"]) == ("ü" * 1000, {"$": "x"})
    assert record["vector"] == pytest.approx([999 + 1 / 7] * 384, rel=1e-6)
    assert (await other.get(f"{COLLECTIONS}/{collection}")).json()["count"] == 1000


async def test_engines_say_where_they_are(pair: Pair) -> None:
    engines = (await pair[0].get("/api/v1/vectors/engines")).json()["items"]

    assert {one["name"]: one["backend"] for one in engines} == {
        "qdrant": "Qdrant Edge, on a node of its own",
        "chroma": "ChromaDB server",
        "faiss": "FAISS, on a node of its own",
    }


Restart = Callable[[NodeProcess], Awaitable[None]]


async def in_order(node: NodeProcess) -> None:
    await node.stop()
    await node.start()


async def killed(node: NodeProcess) -> None:
    os.kill(node.pid, signal.SIGKILL)
    await node.stop()
    await node.start()


@pytest.mark.parametrize("restart", [in_order, killed])
async def test_a_restart_of_the_node_is_waited_out(
    pair: Pair, node: NodeProcess, monkeypatch: pytest.MonkeyPatch, restart: Restart
) -> None:
    """However long it takes the machine."""
    monkeypatch.setattr(node_connection, "AWAY_SECONDS", PATIENCE_SECONDS)
    collections = {engine: name() for engine in ("faiss", "qdrant")}
    for engine, collection in collections.items():
        await pair[0].post(COLLECTIONS, json={"name": collection, "engine": engine, "dimension": 2, "metric": "l2"})
        await store(pair[0], collection, {"id": "first", "vector": [0, 0]})
    over, failures, acknowledged = asyncio.Event(), list[str](), list[tuple[str, str]]()

    async def work(at: int) -> None:
        for number in range(10_000):
            if over.is_set():
                return
            collection = collections["faiss" if number % 2 else "qdrant"]
            record_id = f"{at}-{number}"
            stored = await store(pair[at % 2], collection, {"id": record_id, "vector": [at, number]})
            searched = await found(pair[1 - at % 2], collection, at, number)
            if not stored.is_success or not isinstance(searched, list):
                failures.append(f"{stored.status_code} {stored.text} {searched}")
                continue
            acknowledged.append((collection, record_id))
            if searched[0] != record_id:
                failures.append(f"{record_id} was stored, and {searched[:1]} found")

    workers = [asyncio.create_task(work(at)) for at in range(8)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(acknowledged) < 20:  # noqa: ASYNC110 - the workers work
            await asyncio.sleep(0.01)
    before = len(acknowledged)
    await restart(node)
    over.set()
    await asyncio.gather(*workers)

    assert failures == []
    assert len(acknowledged) > before
    for collection, record_id in acknowledged:
        assert (await pair[0].get(f"{COLLECTIONS}/{collection}/records/{record_id}")).status_code == 200


async def test_a_node_that_stands_still_costs_no_more_than_the_caller_waits(pair: Pair, node: NodeProcess) -> None:
    collection = name()
    await store(pair[0], collection, {"id": "a", "vector": [1, 0]})
    body = {"collection": collection, "vector": [1, 0]}
    os.kill(node.pid, signal.SIGSTOP)
    try:
        async with working_time() as took:
            late = await pair[0].post(SEARCH, json=body, headers={"X-Remaining-Ms": "1500"})
        told = await until_check(pair[0], "catalogue", "fail")
    finally:
        os.kill(node.pid, signal.SIGCONT)

    assert (late.status_code, took.seconds < 5) == (504, True)
    assert told["code"] == 503
    await until_check(pair[0], "catalogue", "pass")
    assert (await pair[0].post(SEARCH, json=body)).status_code == 200


async def test_without_its_node_a_replica_is_unready_and_says_whose_fault_it_is(
    suite: Suite,
    auth: httpx.AsyncClient,
    user: User,
    tmp_path: Path,
    service_client: ServiceClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        open_node_process(suite, tmp_path / "node") as node,
        service_client("vectors", faiss_url=node.url, files_dir=tmp_path / "files") as client,
    ):
        client.headers.update(user.headers)
        await until_check(client, "catalogue", "pass")
        assert (await client.post(COLLECTIONS, json={"name": "kept", "engine": "faiss"})).status_code == 201
        await node.stop()

        for check in ("catalogue", "faiss", "qdrant"):
            told = await until_check(client, check, "fail" if check == "catalogue" else "warn")
            assert "the node at FAISS_URL" in told["detail"]
            assert told["code"] == 503
        with monkeypatch.context() as patched:
            # It says so long before its caller has gone: the two were a tenth of a second apart.
            patched.setattr(node_connection, "_TOLD", 0.1)
            refused = await client.get(f"{COLLECTIONS}/kept", headers={"X-Remaining-Ms": "20000"})
        assert (refused.status_code, refused.json()["code"]) == (503, "common.unavailable")

        await node.start()
        for check in ("catalogue", "faiss", "qdrant"):
            await until_check(client, check, "pass")
        assert (await client.get(f"{COLLECTIONS}/kept")).json()["status"] == "ready"
