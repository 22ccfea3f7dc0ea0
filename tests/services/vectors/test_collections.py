"""`/vectors/collections` and `/vectors/engines`, over the real app and its engines."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User

COLLECTIONS = "/api/v1/vectors/collections"
ENGINES = ["qdrant", "chroma", "faiss"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_collection_is_made_read_listed_and_deleted(
    client: httpx.AsyncClient, register_user: RegisterUser, engine: str
) -> None:
    client_headers = (await register_user()).headers
    body = {"name": "handbook", "engine": engine, "dimension": 3, "metric": "l2"}

    created = await client.post(COLLECTIONS, json=body, headers=client_headers)
    assert created.status_code == 201
    assert created.headers["Location"] == f"{COLLECTIONS}/handbook"
    assert body.items() <= created.json().items()
    assert (created.json()["status"], created.json()["count"]) == ("ready", 0)

    read = await client.get(f"{COLLECTIONS}/handbook", headers=client_headers)
    listed = await client.get(COLLECTIONS, headers=client_headers)
    assert read.json() == created.json()
    assert listed.json() == {"items": [created.json()], "next_cursor": None}

    deleted = await client.delete(f"{COLLECTIONS}/handbook", headers=client_headers)
    gone = await client.get(f"{COLLECTIONS}/handbook", headers=client_headers)
    assert (deleted.status_code, gone.status_code) == (204, 404)
    assert gone.json()["code"] == "vectors.collection_not_found"


async def test_defaults_are_qdrant_cosine_and_the_models_dimension(client: httpx.AsyncClient) -> None:
    created = (await client.post(COLLECTIONS, json={"name": "defaults"})).json()

    assert (created["engine"], created["metric"], created["dimension"]) == ("qdrant", "cosine", 384)


async def test_a_name_is_unique_across_engines(client: httpx.AsyncClient) -> None:
    await client.post(COLLECTIONS, json={"name": "taken", "engine": "faiss"})

    again = await client.post(COLLECTIONS, json={"name": "taken", "engine": "chroma"})

    assert (again.status_code, again.json()["code"]) == (409, "vectors.collection_exists")
    assert "faiss" in again.json()["detail"]


async def test_pages_follow_the_cursor(client: httpx.AsyncClient, register_user: RegisterUser) -> None:
    headers = (await register_user()).headers
    names = [f"page-{at}" for at in range(5)]
    for name in reversed(names):
        await client.post(COLLECTIONS, json={"name": name, "engine": "faiss"}, headers=headers)

    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await client.get(COLLECTIONS, params=query, headers=headers)).json()
        seen += [item["name"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert seen == names


async def test_another_tenants_collection_is_as_if_it_were_not(client: httpx.AsyncClient, other_user: User) -> None:
    await client.post("/api/v1/vectors/store", json={"collection": "mine", "items": [{"id": "a", "vector": [1, 2]}]})
    calls: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", f"{COLLECTIONS}/mine", None),
        ("DELETE", f"{COLLECTIONS}/mine", None),
        ("GET", f"{COLLECTIONS}/mine/records", None),
        ("PATCH", f"{COLLECTIONS}/mine/records/a", {"metadata": {}}),
        ("GET", f"{COLLECTIONS}/mine/records/a", None),
        ("DELETE", f"{COLLECTIONS}/mine/records/a", None),
        ("POST", "/api/v1/vectors/search", {"collection": "mine", "vector": [1, 2]}),
        ("POST", "/api/v1/vectors/delete", {"collection": "mine", "ids": ["a"]}),
    ]

    for method, path, body in calls:
        answer = await client.request(method, path, json=body, headers=other_user.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "vectors.collection_not_found"), path

    theirs = {"collection": "mine", "items": [{"id": "b", "vector": [1, 2, 3]}]}
    assert (await client.post("/api/v1/vectors/store", json=theirs, headers=other_user.headers)).status_code == 200
    ours = await client.post("/api/v1/vectors/search", json={"collection": "mine", "vector": [1, 2]})
    assert [match["id"] for match in ours.json()["results"]] == ["a"]


@pytest.mark.parametrize(
    ("body", "pointer", "named"),
    [
        ({"name": "x", "engine": "pinecone"}, "/engine", "pinecone"),
        ({"name": "Upper"}, "/name", "pattern"),
        ({"name": "x", "dimension": 0}, "/dimension", "greater"),
        ({"name": "x", "dimension": 4097}, "/dimension", "less"),
        ({"name": "x", "metric": "manhattan"}, "/metric", "cosine"),
        ({"name": "x", "shards": 3}, "/shards", "Extra"),
        ({}, "/name", "required"),
    ],
)
async def test_bad_input_is_pointed_at(
    client: httpx.AsyncClient, body: dict[str, object], pointer: str, named: str
) -> None:
    refused = await client.post(COLLECTIONS, json=body)

    assert refused.status_code == 422
    (problem,) = refused.json()["errors"]
    assert problem["pointer"] == pointer
    assert named in problem["detail"]


async def test_the_same_idempotency_key_makes_one_collection(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "make-once"}

    first = await client.post(COLLECTIONS, json={"name": "once"}, headers=headers)
    second = await client.post(COLLECTIONS, json={"name": "once"}, headers=headers)
    other = await client.post(COLLECTIONS, json={"name": "twice"}, headers=headers)

    assert (first.status_code, second.status_code, other.status_code) == (201, 201, 422)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json() == first.json()


async def test_every_route_asks_who_and_what_for(client: httpx.AsyncClient, register_user: RegisterUser) -> None:
    reader = (await register_user(scope="vectors:read")).headers
    body = {"collection": "x", "items": [{"vector": [1.0]}]}

    anonymous = await client.get(COLLECTIONS, headers={"Authorization": ""})
    writing = await client.post("/api/v1/vectors/store", json=body, headers=reader)
    reading = await client.get(COLLECTIONS, headers=reader)

    assert [anonymous.status_code, writing.status_code, reading.status_code] == [401, 403, 200]


async def test_engines_say_what_they_can_do(client: httpx.AsyncClient) -> None:
    engines = (await client.get("/api/v1/vectors/engines")).json()["items"]

    assert [engine["name"] for engine in engines] == ENGINES
    for engine in engines:
        assert engine["modes"] == (["dense"] if engine["name"] == "chroma" else ["dense", "keyword", "hybrid"])
        assert engine["metrics"] == ["cosine", "dot", "l2"]
    assert [engine["is_default"] for engine in engines] == [True, False, False]


async def test_an_engine_that_is_down_stops_only_its_own_collections(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path, chromadb_url="http://127.0.0.1:9") as client:
        client.headers.update(user.headers)

        down = await client.post(COLLECTIONS, json={"name": "c", "engine": "chroma"})
        assert (down.status_code, down.json()["code"]) == (503, "common.unavailable")
        assert "chromadb" in down.json()["detail"]
        assert int(down.headers["Retry-After"]) > 0

        assert (await client.post(COLLECTIONS, json={"name": "c", "engine": "faiss"})).status_code == 201
        ready = await client.get("/health/ready")
        statuses = {name: check["status"] for name, check in ready.json()["checks"].items()}
        assert (ready.status_code, ready.json()["status"]) == (200, "warn")
        assert {"qdrant": "pass", "faiss": "pass", "chromadb": "warn"}.items() <= statuses.items()


async def test_collections_outlive_the_process(open_vectors: ServiceClient, user: User, tmp_path: Path) -> None:
    for engine in ENGINES:
        async with open_vectors("vectors", data_dir=tmp_path) as client:
            client.headers.update(user.headers)
            await client.post(COLLECTIONS, json={"name": engine, "engine": engine, "dimension": 2})
            items = [{"id": "a", "vector": [3, 4], "text": "kept"}]
            stored = await client.post("/api/v1/vectors/store", json={"collection": engine, "items": items})
            assert stored.status_code == 200

    async with open_vectors("vectors", data_dir=tmp_path) as client:
        client.headers.update(user.headers)
        for engine in ENGINES:
            found = (await client.post("/api/v1/vectors/search", json={"collection": engine, "vector": [3, 4]})).json()
            assert found["engine"] == engine
            assert [(match["id"], match["text"]) for match in found["results"]] == [("a", "kept")]
            await client.delete(f"{COLLECTIONS}/{engine}")
