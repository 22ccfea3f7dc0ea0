"""Going through a collection, storing what is absent, and changing metadata, over the real app and its engines."""

import asyncio
from typing import Any

import httpx
import orjson
import pytest

from tests.fixtures.identity import User
from tests.services.vectors.test_collections import COLLECTIONS, ENGINES
from tests.services.vectors.test_records import STORE, collection, store


async def listed(client: httpx.AsyncClient, name: str, **query: Any) -> list[dict[str, Any]]:
    """All pages of the collection."""
    pages: list[dict[str, Any]] = []
    while True:
        answer = await client.get(f"{COLLECTIONS}/{name}/records", params=query)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        if pages[-1]["next_cursor"] is None:
            return pages
        query["cursor"] = pages[-1]["next_cursor"]


async def record(client: httpx.AsyncClient, name: str, record_id: str) -> dict[str, Any]:
    return dict((await client.get(f"{COLLECTIONS}/{name}/records/{record_id}")).json())


@pytest.mark.parametrize("engine", ENGINES)
async def test_records_are_listed_in_pages_and_counted(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine, dimension=2)
    await store(client, name, *({"id": f"r{at}", "vector": [1, at], "metadata": {"n": at}} for at in range(25)))
    some = orjson.dumps({"field": "n", "op": "gte", "value": 5}).decode()

    pages = await listed(client, name, limit=10)
    filtered = await listed(client, name, limit=8, filter=some, count=True)

    assert [len(page["items"]) for page in pages] == [10, 10, 5]
    assert {item["id"] for page in pages for item in page["items"]} == {f"r{at}" for at in range(25)}
    assert [page["count"] for page in pages] == [None] * 3
    assert [item["metadata"]["n"] >= 5 for page in filtered for item in page["items"]] == [True] * 20
    assert [page["count"] for page in filtered] == [20] * 3


@pytest.mark.parametrize("engine", ENGINES)
async def test_vectors_come_when_they_are_asked_for(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine, dimension=2, metric="dot")
    await store(client, name, {"id": "a", "text": "t", "vector": [3, 4], "metadata": {"n": 1}})

    (without,), (with_them,) = [await listed(client, name, include_vectors=asked) for asked in (False, True)]

    assert without["items"] == [{"id": "a", "text": "t", "metadata": {"n": 1}, "vector": None}]
    assert with_them["items"][0]["vector"] == [3, 4]


async def test_an_id_that_is_a_word_of_the_api_is_an_id(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=2)
    await store(client, name, *({"id": one, "vector": [1, 0]} for one in ("count", "records", "list")))

    assert [(await record(client, name, one))["id"] for one in ("count", "records", "list")] == [
        "count", "records", "list",
    ]  # fmt: skip


async def test_a_cursor_serves_its_own_list_only(client: httpx.AsyncClient, other_user: User) -> None:
    name, another = [await collection(client, "faiss", dimension=2) for _ in range(2)]
    items: list[dict[str, object]] = [{"id": f"{at}", "vector": [1, at]} for at in range(3)]
    for one in (name, another):
        await store(client, one, *items)
    body = {"collection": name, "items": items}
    await client.post(STORE, json=body, headers=other_user.headers)
    first = await client.get(f"{COLLECTIONS}/{name}/records", params={"limit": 1})
    cursor = first.json()["next_cursor"]
    elsewhere: list[tuple[str, dict[str, str], dict[str, str]]] = [
        (another, {}, {}),
        (name, {"filter": '{"field": "a", "op": "exists"}'}, {}),
        (name, {}, other_user.headers),
    ]

    for place, query, headers in elsewhere:
        refused = await client.get(
            f"{COLLECTIONS}/{place}/records", params={"cursor": cursor, **query}, headers=headers
        )
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "query/cursor"), refused.text


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"filter": "{"}, "query/filter"),
        ({"filter": "[" * 4000}, "query/filter"),
        ({"filter": '"text"'}, "query/filter"),
        ({"filter": '{"not": {"field": "a", "op": "gt", "value": "x"}}'}, "query/filter/not/value"),
        ({"filter": "x" * 4097}, "query/filter"),
        ({"limit": 101}, "query/limit"),
        ({"include_vectors": "perhaps"}, "query/include_vectors"),
        ({"cursor": "bm90IG91cnM"}, "query/cursor"),
    ],
    ids=str,
)
async def test_bad_lists_are_pointed_at(client: httpx.AsyncClient, query: dict[str, Any], pointer: str) -> None:
    await store(client, "two-dimensions", {"vector": [1, 0]})

    refused = await client.get(f"{COLLECTIONS}/two-dimensions/records", params=query)

    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_is_there_stays_where_only_the_absent_is_asked_for(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine, dimension=2)
    await store(client, name, {"id": "there", "text": "first", "vector": [1, 0]})
    items = [{"id": one, "text": f"{one} anew", "vector": [0, 1]} for one in ("there", "new", "new")]
    items[2]["text"] = "the second of an id"

    answer = await client.post(STORE, json={"collection": name, "items": items, "if_absent": True})

    assert answer.json() == {
        "collection": name, "engine": engine, "stored": 1, "ids": ["there", "new", "new"], "existing": ["there"],
    }  # fmt: skip
    assert [(await record(client, name, one))["text"] for one in ("there", "new")] == ["first", "new anew"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_metadata_is_changed_member_by_member(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine, dimension=2, metric="dot")
    await store(client, name, {"id": "a/b", "text": "t", "vector": [3, 4], "metadata": {"year": 1999, "draft": True}})
    path = f"{COLLECTIONS}/{name}/records/a/b"

    changed = await client.patch(path, json={"metadata": {"year": 2026, "draft": None, "tags": ["x"]}})

    expected = {"id": "a/b", "text": "t", "metadata": {"year": 2026, "tags": ["x"]}, "vector": [3, 4]}
    assert (changed.status_code, changed.json()) == (200, expected)
    assert (await client.get(path)).json() == expected
    (page,) = await listed(client, name, filter='{"field": "year", "op": "gt", "value": 2000}')
    assert [item["id"] for item in page["items"]] == ["a/b"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_two_who_change_one_record_at_once_both_do(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine, dimension=2)
    await store(client, name, {"id": "a", "vector": [1, 0]})

    answers = await asyncio.gather(
        *(client.patch(f"{COLLECTIONS}/{name}/records/a", json={"metadata": {f"by-{at}": at}}) for at in range(6))
    )

    assert {answer.status_code for answer in answers} == {200}
    assert (await record(client, name, "a"))["metadata"] == {f"by-{at}": at for at in range(6)}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"metadata": {"deep": {"er": 1}}}, "/metadata"),
        ({"metadata": {"": None}}, "/metadata"),
        ({"metadata": {"list": [None]}}, "/metadata"),
        ({"metadata": {f"k{at}": at for at in range(65)}}, "/metadata"),
        ({"metadata": {f"k{at}": at for at in range(64)}}, "/metadata"),  # with the one that is there
        ({"metadata": {}, "text": "another"}, "/text"),
        ({}, "/metadata"),
    ],
)
async def test_bad_changes_are_pointed_at(client: httpx.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    await store(client, "two-dimensions", {"id": "a", "vector": [1, 0], "metadata": {"kept": 1}})

    refused = await client.patch(f"{COLLECTIONS}/two-dimensions/records/a", json=body)

    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert (await record(client, "two-dimensions", "a"))["metadata"] == {"kept": 1}


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=2)
    asked: list[tuple[str, str, str]] = [
        ("GET", f"{COLLECTIONS}/nowhere/records", "vectors.collection_not_found"),
        ("PATCH", f"{COLLECTIONS}/nowhere/records/a", "vectors.collection_not_found"),
        ("PATCH", f"{COLLECTIONS}/{name}/records/a", "vectors.record_not_found"),
    ]

    for method, path, code in asked:
        answer = await client.request(method, path, json={"metadata": {}} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, code)
