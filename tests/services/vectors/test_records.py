"""Storing, searching, reading and deleting records, over the real app, its engines and its model."""

import asyncio
from collections.abc import Mapping

import httpx
import pytest

from shared.schemas import new_id

STORE, SEARCH, DELETE = "/api/v1/vectors/store", "/api/v1/vectors/search", "/api/v1/vectors/delete"
ENGINES = ["qdrant", "chroma", "faiss"]
POEMS = {
    "cats": "Cats sleep through most of the day and hunt at night.",
    "ships": "The ship left the harbour before the storm reached the coast.",
    "bread": "Knead the dough, let it rise for two hours and bake the bread until it is golden.",
}


async def collection(client: httpx.AsyncClient, engine: str, **body: object) -> str:
    name = f"c{new_id()}"
    made = await client.post("/api/v1/vectors/collections", json={"name": name, "engine": engine, **body})
    assert made.status_code == 201, made.text
    return name


async def store(client: httpx.AsyncClient, name: str, *items: Mapping[str, object]) -> httpx.Response:
    return await client.post(STORE, json={"collection": name, "items": items})


async def found(client: httpx.AsyncClient, name: str, **query: object) -> list[str]:
    answer = await client.post(SEARCH, json={"collection": name, **query})
    assert answer.status_code == 200, answer.text
    return [match["id"] for match in answer.json()["results"]]


@pytest.mark.parametrize("engine", ENGINES)
async def test_text_is_embedded_stored_and_found_by_meaning(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine)
    items = [{"id": key, "text": text, "metadata": {"words": len(text.split())}} for key, text in POEMS.items()]

    stored = await store(client, name, *items)
    assert stored.json() == {
        "collection": name, "engine": engine, "stored": 3, "ids": list(POEMS), "existing": [],
    }  # fmt: skip

    answer = (await client.post(SEARCH, json={"collection": name, "query": "a recipe for baking", "k": 2})).json()
    assert (answer["collection"], answer["engine"]) == (name, engine)
    assert answer["took_ms"] > 0
    best, second = answer["results"]
    assert (best["id"], best["text"], best["metadata"]) == ("bread", POEMS["bread"], {"words": 17})
    assert 1 >= best["score"] > second["score"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_filters_and_deletions_reach_every_engine(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine, dimension=2)
    await store(client, name, *({"id": f"{at}", "vector": [1, at], "metadata": {"n": at}} for at in range(6)))
    wanted = {"or": [{"field": "n", "op": "gte", "value": 4}, {"field": "n", "op": "in", "value": [0, 1]}]}

    assert set(await found(client, name, vector=[1, 0], filter=wanted)) == {"0", "1", "4", "5"}

    deleted = await client.post(DELETE, json={"collection": name, "filter": {"not": wanted}})
    assert deleted.json() == {"collection": name, "engine": engine, "deleted": 2}
    deleted = await client.post(DELETE, json={"collection": name, "ids": ["0", "0", "nobody"]})
    assert deleted.json()["deleted"] == 1
    assert set(await found(client, name, vector=[1, 0])) == {"1", "4", "5"}
    counted = await client.get(f"/api/v1/vectors/collections/{name}")
    assert counted.json()["count"] == 3


async def test_a_missing_collection_is_made_with_the_dimension_of_the_vectors(client: httpx.AsyncClient) -> None:
    stored = await store(client, "made-by-store", {"vector": [1, 2, 3]}, {"vector": [3, 2, 1]})

    assert (stored.status_code, stored.json()["engine"], len(set(stored.json()["ids"]))) == (200, "qdrant", 2)
    made = (await client.get("/api/v1/vectors/collections/made-by-store")).json()
    assert (made["dimension"], made["metric"], made["count"]) == (3, "cosine", 2)


async def test_many_stores_at_once_make_one_collection(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(store(client, "raced-for", {"id": f"{at}", "vector": [1, at]}) for at in range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(await found(client, "raced-for", vector=[1, 1])) == 8


async def test_equal_scores_come_in_the_order_of_ids_whatever_k(client: httpx.AsyncClient) -> None:
    name = await collection(client, "qdrant", dimension=2)
    ids = [f"tie-{at:03}" for at in range(100)]
    await store(
        client, name, *({"id": one, "vector": [1, 1]} for one in reversed(ids)), {"id": "best", "vector": [1, 0]}
    )

    for k in (1, 5, 30, 101):
        assert await found(client, name, vector=[1, 0], k=k) == ["best", *ids][:k]


async def test_one_record_is_read_and_deleted(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=2)
    await store(client, name, {"id": "Ω ü/x", "text": "both", "vector": [3, 4], "metadata": {"tags": ["a", 1, True]}})
    path = f"/api/v1/vectors/collections/{name}/records/%CE%A9%20%C3%BC/x"

    record = await client.get(path)
    assert record.json() == {
        "id": "Ω ü/x", "text": "both", "metadata": {"tags": ["a", 1, True]}, "vector": pytest.approx([0.6, 0.8])
    }  # fmt: skip

    assert (await client.delete(path)).status_code == 204
    gone = await client.delete(path)
    assert (gone.status_code, gone.json()["code"]) == (404, "vectors.record_not_found")


async def test_the_last_of_an_id_in_one_request_wins(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=2)

    stored = await store(client, name, {"id": "a", "vector": [1, 0]}, {"id": "a", "vector": [0, 1]})

    assert (stored.json()["stored"], stored.json()["ids"]) == (1, ["a", "a"])
    record = await client.get(f"/api/v1/vectors/collections/{name}/records/a")
    assert record.json()["vector"] == [0, 1]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_thousand_items_in_one_request(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine, dimension=384)
    items = [{"id": f"{at}", "vector": [float(at % 7), 1.0, *([0.001 * at] * 382)]} for at in range(1000)]

    stored = await store(client, name, *items)

    assert (stored.status_code, stored.json()["stored"]) == (200, 1000)
    assert (await client.get(f"/api/v1/vectors/collections/{name}")).json()["count"] == 1000


async def test_a_repeated_key_stores_once(client: httpx.AsyncClient) -> None:
    name = await collection(client, "faiss", dimension=2)
    headers = {"Idempotency-Key": f"store-{name}"}
    body = {"collection": name, "items": [{"vector": [1, 0]}] * 2000}
    assert (await client.post(STORE, json=body, headers=headers)).status_code == 422  # too many: and not remembered
    body["items"] = [{"vector": [1, 0], "text": "x" * 100}] * 600

    first, second = [await client.post(STORE, json=body, headers=headers) for _ in range(2)]

    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (await client.get(f"/api/v1/vectors/collections/{name}")).json()["count"] == 600


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_wrong_dimension_is_refused_naming_both(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine, dimension=3)

    stored = await store(client, name, {"vector": [1, 2, 3]}, {"vector": [1, 2]})
    searched = await client.post(SEARCH, json={"collection": name, "vector": [1, 2, 3, 4]})
    by_text = await store(client, name, {"text": "no model gives three dimensions"})

    assert [answer.status_code for answer in (stored, searched, by_text)] == [422] * 3
    assert {answer.json()["code"] for answer in (stored, searched, by_text)} == {"vectors.dimension_mismatch"}
    assert [answer.json()["errors"][0]["pointer"] for answer in (stored, searched, by_text)] == [
        "/items/1/vector", "/vector", "/items/0/text",
    ]  # fmt: skip
    for answer, given in ((stored, "2"), (searched, "4"), (by_text, "384")):
        assert f"has {given} dimensions" in answer.json()["detail"]
        assert "has 3." in answer.json()["detail"]
    assert (await client.get(f"/api/v1/vectors/collections/{name}")).json()["count"] == 0


@pytest.mark.parametrize(
    ("item", "pointer"),
    [
        ({}, "/items/0"),
        ({"vector": [0, 0]}, "/items/0/vector"),
        ({"vector": [1e300, 0]}, "/items/0/vector"),
        ({"vector": [True, 1]}, "/items/0/vector"),
        ({"vector": ["1", 1]}, "/items/0/vector"),
        ({"vector": [[1], 1]}, "/items/0/vector"),
        ({"vector": []}, "/items/0/vector"),
        ({"vector": [1, 0], "text": "nul \x00"}, "/items/0/text"),
        ({"vector": [1, 0], "text": ""}, "/items/0/text"),
        ({"vector": [1, 0], "text": "x" * 16_385}, "/items/0/text"),
        ({"vector": [1, 0], "id": ""}, "/items/0/id"),
        ({"vector": [1, 0], "id": "x" * 129}, "/items/0/id"),
        ({"vector": [1, 0], "metadata": {"deep": {"er": 1}}}, "/items/0/metadata"),
        ({"vector": [1, 0], "metadata": {"nothing": None}}, "/items/0/metadata"),
        ({"vector": [1, 0], "metadata": {"large": 2**53}}, "/items/0/metadata"),
        ({"vector": [1, 0], "metadata": {"": 1}}, "/items/0/metadata"),
        ({"vector": [1, 0], "metadata": {str(at): at for at in range(65)}}, "/items/0/metadata"),
        ({"vector": [1, 0], "metadata": {"list": [1, [2]]}}, "/items/0/metadata"),
        ({"vector": [1, 0], "score": 1}, "/items/0/score"),
    ],
)
async def test_bad_items_are_pointed_at(client: httpx.AsyncClient, item: dict[str, object], pointer: str) -> None:
    refused = await client.post(STORE, json={"collection": "two-dimensions", "items": [item]})

    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == pointer


async def test_a_large_body_is_refused_as_a_small_one(client: httpx.AsyncClient) -> None:
    items = [{"vector": [1.0] * 1000, "text": "x" * 1000}] * 20 + [{"vector": [1, 0], "metadata": {"nothing": None}}]

    refused = await client.post(STORE, json={"collection": "large", "items": items})

    assert (refused.status_code, refused.json()["code"]) == (422, "common.invalid")
    assert [problem["pointer"] for problem in refused.json()["errors"]] == ["/items/20/metadata"]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({f"member {at}": 1 for at in range(5_000)}, "common.invalid"),
        ({"vector": [1], "metadata": {"x": ["y"] * 250_000}}, "common.too_complex"),
    ],
    ids=["unknown members", "texts"],
)
async def test_items_of_more_than_fits_are_refused_as_one(
    client: httpx.AsyncClient, item: dict[str, object], code: str
) -> None:
    refused = await client.post(STORE, json={"collection": "large", "items": [item]})

    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert len(refused.json().get("errors", ())) < 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("metric", ["dot", "l2", "cosine"])
@pytest.mark.parametrize("number", [1e30, 3.4e38])
async def test_numbers_that_overflow_scores_spoil_no_collection(
    client: httpx.AsyncClient, engine: str, metric: str, number: float
) -> None:
    name = await collection(client, engine, dimension=2, metric=metric)
    await store(client, name, {"id": "small", "vector": [1, 1]})

    stored = await store(client, name, {"id": "small", "vector": [1, 1]}, {"id": "large", "vector": [number, -number]})
    searched = await client.post(SEARCH, json={"collection": name, "vector": [number, number]})
    answer = await client.post(SEARCH, json={"collection": name, "vector": [1, 2]})

    if metric == "cosine":  # only the direction is kept
        assert (stored.status_code, searched.status_code) == (200, 200)
    else:
        assert [refused.json()["code"] for refused in (stored, searched)] == ["vectors.vector_invalid"] * 2
        assert stored.json()["errors"][0]["pointer"] == "/items/1/vector"
        assert searched.json()["errors"][0]["pointer"] == "/vector"
    assert answer.status_code == 200
    assert answer.json()["results"][0]["id"] == "small"
    assert all(isinstance(match["score"], float) for match in answer.json()["results"])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
async def test_what_is_no_json_number_is_refused(client: httpx.AsyncClient, number: str) -> None:
    content = f'{{"collection": "two-dimensions", "items": [{{"vector": [{number}, 1]}}]}}'

    refused = await client.post(STORE, content=content, headers={"Content-Type": "application/json"})

    assert refused.status_code == 422, refused.text


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"vector": [1, 0], "query": "both"}, ""),
        ({}, ""),
        ({"vector": [1, 0], "k": 0}, "/k"),
        ({"vector": [1, 0], "k": 1001}, "/k"),
        ({"vector": [0, 0]}, "/vector"),
        ({"vector": [1, 0], "filter": {"and": []}}, "/filter/and"),
        ({"vector": [1, 0], "filter": {"field": "a", "op": "like", "value": "x"}}, "/filter/op"),
        ({"vector": [1, 0], "filter": {"not": {"field": "a", "op": "gt", "value": "x"}}}, "/filter/not/value"),
        (
            {"vector": [1, 0], "filter": {"or": [{"field": "a", "op": "in", "value": [1, None]}]}},
            "/filter/or/0/value/1",
        ),
    ],
)
async def test_bad_searches_are_pointed_at(client: httpx.AsyncClient, query: dict[str, object], pointer: str) -> None:
    await store(client, "two-dimensions", {"vector": [1, 0]})

    refused = await client.post(SEARCH, json={"collection": "two-dimensions", **query})

    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == pointer


async def test_searching_a_collection_that_is_not_there_makes_none(client: httpx.AsyncClient) -> None:
    answer = await client.post(SEARCH, json={"collection": "never-made", "query": "anything"})

    assert (answer.status_code, answer.json()["code"]) == (404, "vectors.collection_not_found")
    assert (await client.get("/api/v1/vectors/collections/never-made")).status_code == 404


async def test_a_collection_made_anew_under_its_name_is_a_new_one(client: httpx.AsyncClient) -> None:
    for metric, score in (("dot", 2.0), ("l2", 0.0)):
        body = {"name": "again", "engine": "faiss", "dimension": 2, "metric": metric}
        assert (await client.post("/api/v1/vectors/collections", json=body)).status_code == 201
        await store(client, "again", {"id": metric, "vector": [1, 1]})
        (match,) = (await client.post(SEARCH, json={"collection": "again", "vector": [1, 1]})).json()["results"]
        assert (match["id"], match["score"]) == (metric, score)
        assert (await client.delete("/api/v1/vectors/collections/again")).status_code == 204
