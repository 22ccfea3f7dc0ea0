"""A collection's texts are embedded with one model, which it remembers; another one's are refused by both names."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from services.vectors.domain import MAX_DIMENSION, MAX_ITEMS, MAX_NUMBERS
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.services.vectors.model_server import ModelServer, model_server
from tests.services.vectors.test_records import SEARCH, STORE

COLLECTIONS = "/api/v1/vectors/collections"
OURS, OTHERS = "multilingual-e5-small", "another-model"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as started:
        yield started


def remote(server: ModelServer, model: str = OTHERS) -> dict[str, Any]:
    return {"embeddings_url": server.url, "embeddings_model": model}


async def model_of(client: httpx.AsyncClient, name: str, user: User) -> Any:
    return (await client.get(f"{COLLECTIONS}/{name}", headers=user.headers)).json()["model"]


def texts(name: str, *given: str) -> dict[str, Any]:
    return {"collection": name, "items": [{"id": text, "text": text} for text in given]}


async def test_the_first_text_says_which_model_it_is(open_vectors: ServiceClient, user: User, tmp_path: Path) -> None:
    async with open_vectors("vectors", data_dir=tmp_path) as client:
        vectors = {"collection": "c", "items": [{"vector": [1.0] * 384}]}
        await client.post(STORE, json=vectors, headers=user.headers)
        before = await model_of(client, "c", user)
        await client.post(STORE, json=texts("c", "a cat"), headers=user.headers)

        assert (before, await model_of(client, "c", user)) == (None, OURS)
        listed = (await client.get(COLLECTIONS, headers=user.headers)).json()["items"]
        assert [one["model"] for one in listed] == [OURS]


async def test_a_collection_can_be_made_for_vectors_of_a_model(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path) as client:
        for name, model in (("ours", OURS), ("theirs", OTHERS)):
            made = await client.post(COLLECTIONS, json={"name": name, "model": model}, headers=user.headers)
            assert (made.status_code, made.json()["model"]) == (201, model)
        answers = [
            await client.post(path, json=body, headers=user.headers)
            for name in ("ours", "theirs")
            for path, body in ((STORE, texts(name, "a cat")), (SEARCH, {"collection": name, "query": "a cat"}))
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 422, 422]
    assert {answer.json()["code"] for answer in answers[2:]} == {"vectors.model_mismatch"}


async def test_a_long_vector_of_each_of_very_many_texts_is_refused_before_the_model_is_asked(
    open_vectors: ServiceClient, user: User, server: ModelServer, tmp_path: Path
) -> None:
    """Two thousand of them were 100 MiB of JSON; a store takes no more than fit."""
    long = remote(server) | {"embeddings_dimension": MAX_DIMENSION}
    async with open_vectors("vectors", data_dir=tmp_path, **long) as client:
        body = {"model": OTHERS, "input": ["a cat"] * 1025}
        refused = await client.post("/api/v1/embeddings", json=body, headers=user.headers)

    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "vectors.too_many_numbers", "input")
    assert "1,024 vectors" in error["message"]
    assert server.asked == []
    assert MAX_ITEMS * MAX_DIMENSION <= MAX_NUMBERS


async def test_text_for_another_model_is_refused_and_vectors_are_not(
    open_vectors: ServiceClient, user: User, server: ModelServer, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path) as client:
        (await client.post(STORE, json=texts("c", "a cat"), headers=user.headers)).raise_for_status()

    async with open_vectors("vectors", data_dir=tmp_path, **remote(server)) as client:
        asked = {
            STORE: texts("c", "a dog"),
            SEARCH: {"collection": "c", "query": "a cat"},
        }
        refused = [await client.post(path, json=body, headers=user.headers) for path, body in asked.items()]
        mine = {"collection": "c", "items": [{"vector": [1.0] * 384}]}
        stored = await client.post(STORE, json=mine, headers=user.headers)
        found = await client.post(SEARCH, json={"collection": "c", "vector": [1.0] * 384}, headers=user.headers)

    for answer, pointer in zip(refused, ["/items", "/query"], strict=True):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, "vectors.model_mismatch")
        assert problem["errors"][0]["pointer"] == pointer
        assert OURS in problem["detail"]
        assert OTHERS in problem["detail"]
    assert (stored.status_code, found.status_code) == (200, 200)
    assert len(found.json()["results"]) == 2


async def test_a_catalogue_of_an_earlier_version_takes_the_model_of_the_first_text(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path) as client:
        (await client.post(STORE, json=texts("c", "a cat"), headers=user.headers)).raise_for_status()
    with sqlite3.connect(tmp_path / "catalogue.db") as catalogue:
        catalogue.execute("ALTER TABLE collection DROP COLUMN model")
    catalogue.close()

    async with open_vectors("vectors", data_dir=tmp_path) as client:
        before = await model_of(client, "c", user)
        found = await client.post(SEARCH, json={"collection": "c", "query": "a cat"}, headers=user.headers)
        await client.post(STORE, json=texts("c", "a dog"), headers=user.headers)

        assert (before, found.status_code, await model_of(client, "c", user)) == (None, 200, OURS)


async def test_a_collection_made_anew_takes_its_model_anew(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path) as client:
        await client.post(STORE, json=texts("c", "a cat"), headers=user.headers)
        await client.delete(f"{COLLECTIONS}/c", headers=user.headers)
        await client.post(STORE, json={"collection": "c", "items": [{"vector": [1.0] * 384}]}, headers=user.headers)
        assert await model_of(client, "c", user) is None

        await asyncio.gather(
            *(client.post(STORE, json=texts("c", f"cat {at}"), headers=user.headers) for at in range(4))
        )
        assert await model_of(client, "c", user) == OURS


async def test_a_model_behind_an_api_reads_long_texts_in_windows_behind_their_prefix(
    open_vectors: ServiceClient, user: User, server: ModelServer, tmp_path: Path
) -> None:
    ship = "The ship left the harbour before the storm reached the coast. "
    text = "Knead the dough and bake the bread until it is golden. " * 30 + ship * 10
    settings = remote(server) | {"embeddings_window_tokens": 200, "embeddings_passage_prefix": "of a book: "}
    async with open_vectors("vectors", data_dir=tmp_path, **settings) as client:
        body = {"model": OTHERS, "input": [text, ship]}
        answer = (await client.post("/api/v1/embeddings", json=body, headers=user.headers)).raise_for_status().json()

    whole, part = (np.array(one["embedding"]) for one in answer["data"])
    sent = [given for asked in server.asked for given in asked]
    windows = [given for given in sent if given != f"of a book: {ship}"]
    assert all(given.startswith("of a book: ") for given in sent)
    assert "".join(given.removeprefix("of a book: ") for given in windows) == text
    assert len(windows) > 2
    assert np.linalg.norm(whole) == pytest.approx(1, abs=1e-3)
    assert 0.7 < whole @ part < 0.999
    assert answer["usage"]["prompt_tokens"] == server.tokens
