"""What was found in the order of a model behind `/rerank`, over the real app and a real server of such a model."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.vectors.domain import CANDIDATES, MAX_CANDIDATES
from tests.fixtures.apps import ServiceClient, open_service
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.vectors.rerank_server import RerankServer, by_words, rerank_server, results
from tests.services.vectors.test_records import SEARCH, collection, found, store

MODEL = "reads-both-2"
ITEMS: list[dict[str, Any]] = [
    {"id": "far", "vector": [0, 1], "text": "rotate keys", "metadata": {"page": "a"}},
    {"id": "near", "vector": [1, 0.1], "text": "the port of the gateway", "metadata": {"page": "a"}},
    {"id": "nearest", "vector": [1, 0], "text": "a key is made of bytes and keys", "metadata": {"page": "b"}},
    {"id": "mute", "vector": [1, 0.2]},
]
ASKED = {"query": "how to rotate keys", "vector": [1, 0], "mode": "hybrid"}


@pytest.fixture(scope="module")
def model() -> Iterator[RerankServer]:
    with rerank_server() as started:
        yield started


@pytest.fixture
def server(model: RerankServer) -> RerankServer:
    model.answer = by_words
    model.asked.clear()
    model.keys.clear()
    return model


@pytest.fixture(scope="module")
async def reranking(
    suite: Suite, auth: httpx.AsyncClient, user: User, model: RerankServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["redis-cache", "chromadb"])
    settings = {"rerank_url": model.url, "rerank_model": MODEL, "rerank_api_key": "k" * 32}
    folder = tmp_path_factory.mktemp("reranking")
    async with open_service(suite)("vectors", data_dir=folder, rerank_timeout_seconds=60, **settings) as client:
        client.headers.update(user.headers)
        yield client


async def filled(client: httpx.AsyncClient, engine: str = "faiss") -> str:
    name = await collection(client, engine, dimension=2)
    assert (await store(client, name, *ITEMS)).status_code == 200
    return name


async def searched(client: httpx.AsyncClient, name: str, **more: object) -> httpx.Response:
    return await client.post(SEARCH, json={"collection": name, **ASKED, "rerank": True, **more})


@pytest.mark.parametrize("engine", ["qdrant", "faiss"])
async def test_the_model_gives_the_order_and_the_scores(
    reranking: httpx.AsyncClient, server: RerankServer, engine: str
) -> None:
    name = await filled(reranking, engine)

    answer = (await searched(reranking, name)).json()

    assert answer["reranked_by"] == MODEL
    assert [(match["id"], match["score"]) for match in answer["results"]] == [
        ("far", 1.0),
        ("nearest", 0.125),
        ("near", 0.0),
    ]
    (asked,) = server.asked
    assert (asked["model"], asked["query"], asked["top_n"]) == (MODEL, ASKED["query"], 3)
    assert sorted(asked["documents"]) == sorted(item["text"] for item in ITEMS if "text" in item)
    assert server.keys == [f"Bearer {'k' * 32}"]


async def test_chromadbs_records_are_put_in_order_alike(reranking: httpx.AsyncClient, server: RerankServer) -> None:
    """By their meaning only, of which the built-in model makes the vectors."""
    name = await collection(reranking, "chroma", dimension=384)
    await store(reranking, name, *({"id": one["id"], "text": one["text"]} for one in ITEMS if "text" in one))

    answer = await searched(reranking, name, mode="dense", vector=None)

    assert [match["id"] for match in answer.json()["results"]] == ["far", "nearest", "near"]


async def test_only_the_best_by_the_mode_are_candidates(reranking: httpx.AsyncClient, server: RerankServer) -> None:
    name = await filled(reranking)

    answer = await searched(reranking, name, mode="keyword", vector=None, query="keys", k=1, rerank_candidates=1)

    assert len(server.asked[0]["documents"]) == 1
    assert len(answer.json()["results"]) == 1


async def test_a_bound_and_groups_are_of_the_models_order(reranking: httpx.AsyncClient, server: RerankServer) -> None:
    name = await filled(reranking)

    bounded = (await searched(reranking, name, min_score=0.1)).json()["results"]
    grouped = (await searched(reranking, name, group_by="page")).json()["results"]

    assert [match["id"] for match in bounded] == ["far", "nearest"]
    assert [(match["id"], match["group"]) for match in grouped] == [("far", "a"), ("nearest", "b")]


async def test_equal_scores_are_in_the_order_of_their_ids(reranking: httpx.AsyncClient, server: RerankServer) -> None:
    name = await filled(reranking)
    server.answer = lambda body: (200, results(*((at, 0.5) for at in range(len(body["documents"])))))

    answer = await searched(reranking, name)

    assert [match["id"] for match in answer.json()["results"]] == ["far", "near", "nearest"]


async def test_nothing_to_read_asks_nobody(reranking: httpx.AsyncClient, server: RerankServer) -> None:
    name = await collection(reranking, "faiss", dimension=2)
    await store(reranking, name, {"id": "mute", "vector": [1, 0]})

    answer = await searched(reranking, name)

    assert (answer.status_code, answer.json()["results"], server.asked) == (200, [], [])


async def test_each_search_of_a_batch_is_put_in_order(reranking: httpx.AsyncClient, server: RerankServer) -> None:
    name = await filled(reranking)
    one = {"collection": name, **ASKED}

    body = {"searches": [{**one, "rerank": True}, one]}
    both = (await reranking.post(f"{SEARCH}/batch", json=body)).json()["results"]

    assert [(each["reranked_by"], each["results"][0]["id"]) for each in both] == [(MODEL, "far"), (None, "nearest")]


async def test_large_texts_come_through_whole(reranking: httpx.AsyncClient, server: RerankServer) -> None:
    name = await collection(reranking, "faiss", dimension=2)
    items = [{"id": f"{at:03}", "vector": [1, at], "text": f"{at} " + "ü" * 16_000} for at in range(MAX_CANDIDATES)]
    for start in range(0, len(items), 100):
        assert (await store(reranking, name, *items[start : start + 100])).status_code == 200

    answer = await searched(reranking, name, rerank_candidates=MAX_CANDIDATES, k=MAX_CANDIDATES)

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["results"]) == MAX_CANDIDATES
    assert {len(text) > 16_000 for text in server.asked[0]["documents"]} == {True}


REFUSED = {
    "no query": {"query": None, "mode": "dense", "rerank": True},
    "candidates without rerank": {"rerank": False, "rerank_candidates": 10},
    "fewer candidates than results": {"rerank_candidates": 5, "k": 6},
    "more results than candidates may be": {"k": MAX_CANDIDATES + 1},
    "too many candidates": {"rerank_candidates": MAX_CANDIDATES + 1},
    "groups beyond the candidates": {"k": 100, "group_by": "page", "group_size": 3},
}


@pytest.mark.parametrize("changed", REFUSED.values(), ids=REFUSED)
async def test_what_makes_no_sense_is_refused(
    reranking: httpx.AsyncClient, server: RerankServer, changed: dict[str, object]
) -> None:
    name = await filled(reranking)

    answer = await searched(reranking, name, **changed)

    assert (answer.status_code, answer.json()["code"], server.asked) == (422, "common.invalid", [])


NONSENSE = {
    "no object": b"[]",
    "no JSON": b"<html>",
    "no results": b"{}",
    "results of no list": b'{"results": 3}',
    "an index too high": results((0, 1), (1, 1), (3, 1)),
    "an index below 0": results((0, 1), (1, 1), (-1, 1)),
    "an index twice": results((0, 1), (1, 1), (1, 1), (2, 1)),
    "one index missing": results((0, 1), (1, 1)),
    "an index that is a text": results((0, 1), (1, 1), ("2", 1)),
    "an index that is a truth": results((0, 1), (True, 1), (2, 1)),
    "no score": results((0, 1), (1, 1), (2, None)),
    "a score of a text": results((0, 1), (1, 1), (2, "1")),
    "not a number": b'{"results": [{"index": 0, "relevance_score": NaN}]}',
    "an endless score": results((0, 1), (1, 1), (2, 0)).replace(b":0}", b":1e999}"),
    "a score beyond all numbers": results((0, 1), (1, 1), (2, 0)).replace(b":0}", b":" + b"9" * 400 + b"}"),
    "deeper than anything": b"[" * 100_000,
}


@pytest.mark.parametrize("content", NONSENSE.values(), ids=NONSENSE)
async def test_an_answer_that_makes_no_sense_is_the_models_fault(
    reranking: httpx.AsyncClient, server: RerankServer, content: bytes
) -> None:
    name = await filled(reranking)
    server.answer = lambda _: (200, content)

    answer = await searched(reranking, name)

    assert (answer.status_code, answer.json()["code"]) == (502, "vectors.rerank_failed")


async def test_an_answer_without_end_is_not_read_to_its_end(reranking: httpx.AsyncClient, server: RerankServer) -> None:
    name = await filled(reranking)
    server.answer = lambda _: (200, b" " * (40 * 2**20))

    answer = await searched(reranking, name)

    assert (answer.status_code, answer.json()["code"]) == (502, "vectors.rerank_failed")


@pytest.mark.parametrize(
    ("status", "told"),
    [(400, "vectors.rerank_failed"), (401, "vectors.rerank_failed"), (302, "vectors.rerank_failed")]
    + [(status, "common.unavailable") for status in (429, 502, 503, 504)],
)
async def test_a_refusal_is_told_as_what_it_is(
    reranking: httpx.AsyncClient, server: RerankServer, status: int, told: str
) -> None:
    name = await filled(reranking)
    server.answer = lambda _: (status, b"{}")

    answer = await searched(reranking, name)

    assert answer.json()["code"] == told
    assert "rerank" in answer.json()["detail"]


async def test_a_model_that_does_not_answer_costs_its_time_and_no_more(
    open_vectors: ServiceClient, user: User, tmp_path: Path, server: RerankServer
) -> None:
    settings = {"rerank_url": server.url, "rerank_model": MODEL, "data_dir": tmp_path, "rerank_timeout_seconds": 4}
    async with open_vectors("vectors", **settings) as hurried:
        hurried.headers.update(user.headers)
        name = await filled(hurried)
        over = threading.Event()
        server.answer = lambda body: by_words(body) if over.wait(PATIENCE_SECONDS) else (500, b"")
        try:
            answer = await searched(hurried, name)
            plain = await hurried.post(SEARCH, json={"collection": name, **ASKED})
        finally:
            over.set()

        assert (answer.status_code, answer.json()["code"]) == (504, "common.upstream_timeout")
        assert plain.status_code == 200
        async with asyncio.timeout(PATIENCE_SECONDS):  # the model is in this process, and stands still with it
            while (again := await searched(hurried, name)).status_code == 504:
                pass
        assert again.status_code == 200


async def test_many_at_once_are_each_answered(reranking: httpx.AsyncClient, server: RerankServer) -> None:
    name = await filled(reranking)

    answers = await asyncio.gather(*(searched(reranking, name) for _ in range(16)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(server.asked) == 16


async def test_engines_say_that_there_is_a_model(reranking: httpx.AsyncClient) -> None:
    told = (await reranking.get("/api/v1/vectors/engines")).json()

    assert (told["reranker"], told["max_rerank_candidates"]) == (MODEL, MAX_CANDIDATES)
    assert CANDIDATES < MAX_CANDIDATES


async def test_without_a_model_it_is_refused_by_its_name(client: httpx.AsyncClient) -> None:
    name = await filled(client)

    answer = await searched(client, name)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "vectors.rerank_unconfigured")
    assert (problem["errors"][0]["pointer"], "RERANK_URL" in problem["detail"]) == ("/rerank", True)
    assert (await client.get("/api/v1/vectors/engines")).json()["reranker"] is None
    assert await found(client, name, **ASKED) == ["nearest", "far", "near", "mute"]


async def test_a_server_that_is_not_there_is_unavailable(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    settings = {"rerank_url": "http://127.0.0.1:9", "rerank_model": MODEL, "data_dir": tmp_path}
    async with open_vectors("vectors", **settings) as away:
        away.headers.update(user.headers)
        name = await filled(away)
        answer = await searched(away, name)

        assert (answer.status_code, answer.json()["code"]) == (503, "common.unavailable")
        assert answer.headers["retry-after"]
        assert answer.json()["detail"] == "rerank is not available right now."
