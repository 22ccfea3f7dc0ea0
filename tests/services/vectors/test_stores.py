"""`/vector_stores` in OpenAI's shape: collections, and what is told of them beside."""

from typing import Any

import httpx
import pytest

from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.vectors.storing import Stores, refusal

COLLECTIONS = "/api/v1/vectors/collections"


@pytest.fixture
def stores(client: httpx.AsyncClient, user: User) -> Stores:
    return Stores(client, user)


@pytest.fixture
async def new_stores(client: httpx.AsyncClient, register_user: RegisterUser) -> Stores:
    """Of a tenant that has none."""
    return Stores(client, await register_user())


async def test_a_store_is_a_collection_and_what_is_told_of_it(stores: Stores) -> None:
    metadata = {"engine": "faiss", "team": "support"}

    store = await stores.done("POST", json={"name": "Support FAQ", "description": "asked", "metadata": metadata})

    collection = (await stores.client.get(f"{COLLECTIONS}/{store['id']}", headers=stores.user.headers)).json()
    assert (collection["engine"], collection["count"], collection["status"]) == ("faiss", 0, "ready")
    assert store["id"].startswith("vs_")
    assert {name: store[name] for name in ("object", "name", "description", "metadata", "status", "usage_bytes")} == {
        "object": "vector_store",
        "name": "Support FAQ",
        "description": "asked",
        "metadata": metadata,
        "status": "completed",
        "usage_bytes": 0,
    }
    assert set(store["file_counts"].values()) == {0}
    assert await stores.done("GET", f"/{store['id']}") == store


async def test_a_store_says_when_it_expires(stores: Stores) -> None:
    week = {"anchor": "last_active_at", "days": 7}

    made = await stores.done("POST", json={"expires_after": week})
    longer = await stores.done("POST", f"/{made['id']}", json={"expires_after": week | {"days": 365}})
    renamed = await stores.done("POST", f"/{made['id']}", json={"name": "Shop", "expires_after": None})

    assert (made["expires_after"], made["status"]) == (week, "completed")
    assert made["expires_at"] - made["last_active_at"] == 7 * 86_400
    assert longer["expires_at"] - longer["last_active_at"] == 365 * 86_400
    assert renamed["expires_at"] == longer["expires_at"]
    assert await stores.search(made["id"], "anything") == []


async def test_what_a_client_leaves_out_has_a_default(stores: Stores) -> None:
    store = await stores.done("POST", json={"name": None, "metadata": None, "expires_after": None})

    assert (store["name"], store["metadata"], store["expires_after"]) == ("", {}, None)


async def test_a_collection_of_ours_is_a_store_too(stores: Stores) -> None:
    name = f"ours-{new_id()}"
    body = {"name": name, "engine": "chroma"}
    (await stores.client.post(COLLECTIONS, json=body, headers=stores.user.headers)).raise_for_status()

    store = await stores.done("GET", f"/{name}")

    assert (store["id"], store["name"], store["metadata"]) == (name, name, {"engine": "chroma"})
    assert (await stores.done("POST", f"/{name}", json={"name": "Ours"}))["name"] == "Ours"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"expires_after": {"anchor": "created_at", "days": 7}}, "common.invalid", "expires_after.anchor"),
        ({"expires_after": {"anchor": "last_active_at", "days": 0}}, "common.invalid", "expires_after.days"),
        ({"expires_after": {"anchor": "last_active_at", "days": 366}}, "common.invalid", "expires_after.days"),
        ({"metadata": {"engine": "pinecone"}}, "common.invalid", "metadata"),
        ({"metadata": {f"key-{n}": "x" for n in range(17)}}, "common.invalid", "metadata"),
        ({"metadata": {"key": "x" * 513}}, "common.invalid", "metadata.key"),
        ({"metadata": {"key": 1}}, "common.invalid", "metadata.key"),
        ({"nmae": "x"}, "common.invalid", "nmae"),
    ],
)
async def test_what_is_not_served_is_refused_by_name(stores: Stores, body: Any, code: str, param: str) -> None:
    assert refusal(await stores.call("POST", json=body)) == (400, code, param)


async def test_what_is_told_of_a_store_changes(stores: Stores) -> None:
    store = await stores.made(name="before")

    renamed = await stores.done("POST", f"/{store}", json={"name": "after"})
    changed = await stores.done("POST", f"/{store}", json={"metadata": {"team": "sales"}, "name": None})
    moved = await stores.call("POST", f"/{store}", json={"metadata": {"engine": "qdrant"}})

    assert (renamed["name"], renamed["metadata"]) == ("after", {"engine": "faiss"})
    assert (changed["name"], changed["metadata"]) == ("after", {"team": "sales"})
    assert refusal(moved) == (400, "vectors.engine_fixed", "metadata.engine")


async def test_stores_are_listed_by_age_in_pages(new_stores: Stores) -> None:
    ids = [await new_stores.made() for _ in range(3)]

    async def page(**asked: Any) -> tuple[list[str], bool]:
        listed = await new_stores.done("GET", params=asked)
        return [store["id"] for store in listed["data"]], listed["has_more"]

    assert await page(limit=2) == ([ids[2], ids[1]], True)
    assert await page(limit=2, after=ids[1]) == ([ids[0]], False)
    assert await page(order="asc", limit=1) == ([ids[0]], True)
    assert await page(before=ids[0], limit=1) == ([ids[1]], True)
    assert refusal(await new_stores.call("GET", params={"after": "nowhere"})) == (400, "vectors.place_unknown", "after")
    both = {"after": ids[0], "before": ids[1]}
    assert refusal(await new_stores.call("GET", params=both)) == (400, "common.invalid", "before")


async def test_a_deleted_store_is_gone_by_both_doors(stores: Stores) -> None:
    store = await stores.made()

    deleted = await stores.done("DELETE", f"/{store}")

    assert deleted == {"id": store, "object": "vector_store.deleted", "deleted": True}
    assert refusal(await stores.call("GET", f"/{store}"))[:2] == (404, "vectors.collection_not_found")
    assert refusal(await stores.call("DELETE", f"/{store}"))[:2] == (404, "vectors.collection_not_found")
    assert (await stores.client.get(f"{COLLECTIONS}/{store}", headers=stores.user.headers)).status_code == 404


async def test_a_store_is_made_once_under_a_key(stores: Stores) -> None:
    key = {"Idempotency-Key": new_id()}

    first = await stores.done("POST", json={"name": "one"}, headers=key)

    assert await stores.done("POST", json={"name": "one"}, headers=key) == first
    other = await stores.call("POST", json={"name": "other"}, headers=key)
    assert refusal(other)[:2] == (400, "common.idempotency_key_reused")


async def test_another_tenant_sees_none_of_it(stores: Stores, new_stores: Stores) -> None:
    store = await stores.made()

    for method, path in [("GET", ""), ("POST", ""), ("DELETE", ""), ("POST", "/search"), ("GET", "/files")]:
        body = {"json": {"query": "x"} if path else {}} if method == "POST" else {}
        answer = await new_stores.call(method, f"/{store}{path}", **body)
        assert refusal(answer)[:2] == (404, "vectors.collection_not_found"), (method, path)
    assert (await new_stores.done("GET"))["data"] == []


async def test_records_of_any_door_are_found_in_a_store(stores: Stores) -> None:
    store = await stores.made()
    items = [
        {"id": "ice", "text": "Parcels to Iceland take nine days.", "metadata": {"year": 2026, "tags": ["a"]}},
        {"id": "tea", "text": "Tea is served at five.", "metadata": {"year": 2020, "document_id": "menu"}},
    ]
    body = {"collection": store, "items": items}
    (await stores.client.post("/api/v1/vectors/store", json=body, headers=stores.user.headers)).raise_for_status()

    found = await stores.search(store, ["how long to Iceland?", "when is tea?"])
    recent = await stores.search(store, "tea", filters={"type": "gte", "key": "year", "value": 2025})

    assert {(one["file_id"], one["filename"]) for one in found} == {("ice", "ice"), ("menu", "menu")}
    assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
    assert [(one["file_id"], one["attributes"]) for one in recent] == [("ice", {"year": 2026})]
    assert recent[0]["content"] == [{"type": "text", "text": items[0]["text"]}]
    assert len(await stores.search(store, "tea", max_num_results=1)) == 1
    assert await stores.search(store, "tea", ranking_options={"score_threshold": 1.0, "ranker": "none"}) == []


@pytest.mark.parametrize("number", [1, 600], ids=["a small body", "a large body"])
async def test_what_an_ingestion_brings_for_no_file_is_refused_and_makes_nothing(stores: Stores, number: int) -> None:
    store, nowhere = await stores.made(), f"vs_{new_id()}"
    items = [{"id": f"{n}", "text": "Tea is served at five. " * 4} for n in range(number)]
    attached_as = {"file_id": new_id(), "version": new_id()}

    async def brought(path: str, name: str, **what: Any) -> tuple[int, str]:
        body = {"collection": name, "attached_as": attached_as, **what}
        answer = await stores.client.post(f"/api/v1/vectors/{path}", json=body, headers=stores.user.headers)
        return answer.status_code, answer.json()["code"]

    assert await brought("store", store, items=items) == (409, "vectors.attachment_changed")
    assert await brought("delete", store, ids=["1"]) == (409, "vectors.attachment_changed")
    assert await brought("store", nowhere, items=items) == (404, "vectors.collection_not_found")
    assert await stores.records(store) == 0
    assert (await stores.call("GET", f"/{nowhere}")).status_code == 404


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"query": ""}, "query[0]"),
        ({"query": []}, "query"),
        ({"query": "x", "max_num_results": 51}, "max_num_results"),
        ({"query": "x", "max_num_results": True}, "max_num_results"),
        ({"query": "x", "ranking_options": {"score_threshold": False}}, "ranking_options.score_threshold"),
        ({"query": "x", "rewrite_query": True}, "rewrite_query"),
        ({"query": "x", "ranking_options": {"ranker": "default-2024-11-15"}}, "ranking_options.ranker"),
        ({"query": "x", "filters": {"type": "like", "key": "a", "value": "b"}}, "filters.type"),
        ({"query": "x", "filters": {"type": "eq", "key": "a", "value": None}}, "filters.value"),
        ({"query": "x", "filters": {"type": "eq", "key": "", "value": 1}}, "filters.key"),
        ({"query": "x", "filters": {"type": "eq", "key": "a", "value": 1, "not": 1}}, "filters"),
        ({"query": "x", "filters": {"type": "and", "filters": []}}, "filters.filters"),
        (
            {"query": "x", "filters": {"type": "or", "filters": [{"type": "gt", "key": "a", "value": "b"}]}},
            "filters.filters[0].value",
        ),
    ],
)
async def test_a_search_that_is_not_served_is_refused_by_name(stores: Stores, asked: Any, param: str) -> None:
    store = await stores.made()

    status, _, blamed = refusal(await stores.call("POST", f"/{store}/search", json=asked))

    assert (status, blamed) == (400, param)
