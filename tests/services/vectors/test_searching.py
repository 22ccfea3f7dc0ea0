"""Searching by meaning, by keywords and by both, over the real app and its engines."""

import math
from typing import Any

import httpx
import pytest

from services.vectors.adapters.chroma import ChromaEngine
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.qdrant_edge import QdrantEdgeEngine
from services.vectors.domain import MAX_K
from services.vectors.ports import VectorEngine
from tests.services.vectors.test_records import ENGINES, SEARCH, collection, found, store

WITH_WORDS = ["qdrant", "faiss"]
ITEMS = [
    {"id": "east", "vector": [1, 0], "text": "the gateway listens on one port", "metadata": {"page": "a", "n": 1}},
    {"id": "north", "vector": [0, 1], "text": "a key is rotated", "metadata": {"page": "a", "n": 2}},
    {"id": "north-east", "vector": [1, 1], "text": "another port, another key", "metadata": {"page": "b", "n": 3}},
    {"id": "west", "vector": [-1, 0], "text": "検索は単語で", "metadata": {"page": ["b", "c"], "n": 4}},
    {"id": "mute", "vector": [0, -1], "metadata": {"n": 5}},
]


async def filled(client: httpx.AsyncClient, engine: str) -> str:
    name = await collection(client, engine, dimension=2)
    assert (await store(client, name, *ITEMS)).status_code == 200
    return name


async def results(client: httpx.AsyncClient, name: str, **query: object) -> list[dict[str, object]]:
    answer = await client.post(SEARCH, json={"collection": name, **query})
    assert answer.status_code == 200, answer.text
    matches: list[dict[str, object]] = answer.json()["results"]
    return matches


@pytest.mark.parametrize("engine", WITH_WORDS)
async def test_keywords_find_what_holds_one_of_them_best_first(client: httpx.AsyncClient, engine: str) -> None:
    """Without a model: no text could be embedded in two dimensions."""
    name = await filled(client, engine)

    assert await found(client, name, query="PORT, key?", mode="keyword") == ["north-east", "north", "east"]
    assert await found(client, name, query="単語", mode="keyword") == ["west"]
    assert await found(client, name, query="nobody wrote this", mode="keyword") == []
    assert await found(client, name, query="?!", mode="keyword") == []


@pytest.mark.parametrize("engine", WITH_WORDS)
async def test_every_engine_gives_the_same_scores(client: httpx.AsyncClient, engine: str) -> None:
    name = await filled(client, engine)

    matches = await results(client, name, query="port", mode="keyword")

    # The rarity of a word that two of four texts hold, times its weight in texts of four and six words.
    rarity = math.log(1 + 2.5 / 2.5)
    weights = {
        "north-east": 2.2 / (1 + 1.2 * (0.25 + 0.75 * 4 / 128)),
        "east": 2.2 / (1 + 1.2 * (0.25 + 0.75 * 6 / 128)),
    }
    assert {match["id"]: match["score"] for match in matches} == pytest.approx(
        {key: rarity * weight for key, weight in weights.items()}, rel=1e-5
    )


@pytest.mark.parametrize("engine", WITH_WORDS)
async def test_a_hybrid_search_adds_the_ranks_of_both(client: httpx.AsyncClient, engine: str) -> None:
    name = await filled(client, engine)

    matches = await results(client, name, query="a rotated key", vector=[1, 0.5], mode="hybrid")

    # By meaning north-east, east, north, mute, west; by keywords north, north-east.
    places = {"north-east": (1, 2), "north": (3, 1), "east": (2, None), "mute": (4, None), "west": (5, None)}
    scores = {key: sum(61 / (60 + rank) / 2 for rank in ranks if rank) for key, ranks in places.items()}
    assert [match["id"] for match in matches] == list(places)
    assert [match["score"] for match in matches] == pytest.approx(list(scores.values()), rel=1e-5)


@pytest.mark.parametrize("engine", WITH_WORDS)
async def test_weights_move_a_hybrid_search_from_one_list_to_the_other(client: httpx.AsyncClient, engine: str) -> None:
    name = await filled(client, engine)
    query = {"query": "a rotated key", "vector": [1, 0.5], "mode": "hybrid"}

    assert await found(client, name, **query, weights={"dense": 0}) == ["north", "north-east"]
    assert (await found(client, name, **query, weights={"keyword": 0}))[:3] == ["north-east", "east", "north"]
    assert (await found(client, name, **query, weights={"keyword": 5}))[0] == "north"


@pytest.mark.parametrize("engine", WITH_WORDS)
async def test_a_query_of_words_alone_is_embedded_for_a_hybrid_search(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine)
    texts = {"cats": "Cats sleep through most of the day.", "bread": "Knead the dough and bake it until it is golden."}
    await store(client, name, *({"id": key, "text": text} for key, text in texts.items()))

    assert await found(client, name, query="a recipe for golden loaves", mode="hybrid") == ["bread", "cats"]


@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
@pytest.mark.parametrize("engine", WITH_WORDS)
async def test_filters_hold_in_every_mode(client: httpx.AsyncClient, engine: str, mode: str) -> None:
    name = await filled(client, engine)
    query = {"query": "key port 検索", "mode": mode} | ({"vector": [1, 1]} if mode == "hybrid" else {})

    matched = await found(client, name, **query, filter={"field": "n", "op": "in", "value": [2, 4]})

    assert set(matched) == {"north", "west"}


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_score_that_is_too_low_is_left_out(client: httpx.AsyncClient, engine: str) -> None:
    name = await filled(client, engine)

    assert await found(client, name, vector=[1, 0], min_score=0.5) == ["east", "north-east"]
    assert await found(client, name, vector=[1, 0], min_score=1.5) == []


@pytest.mark.parametrize("engine", ENGINES)
async def test_results_are_grouped_by_a_field(client: httpx.AsyncClient, engine: str) -> None:
    name = await filled(client, engine)

    one_each = await results(client, name, vector=[1, 0], group_by="page")
    two_each = await results(client, name, vector=[1, 0], group_by="page", group_size=2, k=2)
    single = await results(client, name, vector=[1, 0], group_by="page", k=1)

    assert [(one["group"], one["id"]) for one in one_each] == [("a", "east"), ("b", "north-east"), ("c", "west")]
    assert [(one["group"], one["id"]) for one in two_each] == [
        ("a", "east"), ("a", "north"), ("b", "north-east"), ("b", "west"),
    ]  # fmt: skip
    assert [one["id"] for one in single] == ["east"]
    assert await found(client, name, vector=[1, 0], group_by="nobody has this") == []


@pytest.mark.parametrize("engine", WITH_WORDS)
async def test_a_thousand_results(client: httpx.AsyncClient, engine: str) -> None:
    name = await collection(client, engine, dimension=2)
    ids = [f"{at:04}" for at in range(1200)]
    for start in (0, 600):
        some = ids[start : start + 600]
        await store(client, name, *({"id": one, "vector": [1, 1], "text": "the same"} for one in some))

    for mode in ({"vector": [1, 0]}, {"query": "same", "mode": "keyword"}):
        assert await found(client, name, **mode, k=MAX_K) == ids[:MAX_K]


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_engine_does_what_the_list_of_engines_says(client: httpx.AsyncClient, engine: str) -> None:
    listed = (await client.get("/api/v1/vectors/engines")).json()["items"]
    (can,) = [one for one in listed if one["name"] == engine]
    kinds: dict[str, type[VectorEngine]] = {"qdrant": QdrantEdgeEngine, "chroma": ChromaEngine, "faiss": FaissEngine}
    proved = kinds[engine].capabilities(object.__new__(kinds[engine]))
    assert (can["modes"], can["exact"], can["exact_on_request"]) == (
        list(proved.modes), proved.exact, proved.exact_on_request,
    )  # fmt: skip
    name = await filled(client, engine)

    asked: dict[str, dict[str, Any]] = {
        "keyword": {"query": "port", "mode": "keyword"},
        "hybrid": {"query": "port", "vector": [1, 0], "mode": "hybrid"},
        "exact": {"vector": [1, 0], "exact": True},
    }
    offered = {*can["modes"], *(["exact"] if can["exact_on_request"] else [])}
    for capability, query in asked.items():
        answer = await client.post(SEARCH, json={"collection": name, **query})
        if capability in offered:
            assert answer.json()["results"][0]["id"] in ("east", "north-east"), answer.text
        else:
            assert (answer.status_code, answer.json()["code"]) == (422, "vectors.unsupported_capability")
            assert f"'{engine}'" in answer.json()["detail"]
            assert capability in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"vector": [1, 0], "mode": "keyword"}, ""),
        ({"vector": [1, 0], "query": "x", "mode": "keyword"}, ""),
        ({"vector": [1, 0], "mode": "hybrid"}, ""),
        ({"vector": [1, 0], "weights": {}}, ""),
        ({"query": "x", "mode": "hybrid", "weights": {"dense": 0, "keyword": 0}}, "/weights"),
        ({"query": "x", "mode": "hybrid", "weights": {"dense": -1}}, "/weights/dense"),
        ({"query": "x", "mode": "hybrid", "weights": {"sparse": 1}}, "/weights/sparse"),
        ({"query": " ".join(map(str, range(2049))), "mode": "keyword"}, "/query"),
        ({"query": "x", "mode": "fuzzy"}, "/mode"),
        ({"vector": [1, 0], "min_score": "high"}, "/min_score"),
        ({"vector": [1, 0], "group_size": 2}, ""),
        ({"vector": [1, 0], "group_by": "page", "group_size": 11}, "/group_size"),
        ({"vector": [1, 0], "group_by": "page", "group_size": 10, "k": 101}, ""),
        ({"vector": [1, 0], "group_by": ""}, "/group_by"),
        ({"vector": [1, 0], "rerank": True}, ""),
        ({"query": "x", "mode": "keyword", "rerank": True}, "/rerank"),
        ({"vector": [1, 0], "reorder": True}, "/reorder"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_bad_searches_are_pointed_at(client: httpx.AsyncClient, query: dict[str, object], pointer: str) -> None:
    await store(client, "two-dimensions", {"vector": [1, 0]})

    refused = await client.post(SEARCH, json={"collection": "two-dimensions", **query})

    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == pointer
