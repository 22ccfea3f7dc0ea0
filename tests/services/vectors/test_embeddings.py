"""`POST /embeddings` as OpenAI's clients ask it, over the real app and its model."""

import asyncio
import base64
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User

EMBEDDINGS = "/api/v1/embeddings"
MODEL = "multilingual-e5-small"


async def embedded(client: httpx.AsyncClient, **body: object) -> httpx.Response:
    return await client.post(EMBEDDINGS, json={"model": MODEL, **body})


async def refusal(client: httpx.AsyncClient, **body: object) -> tuple[int, str, str]:
    """Status, code, and the place that is named."""
    answer = await embedded(client, **body)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


async def test_texts_are_answered_in_openais_shape(client: httpx.AsyncClient) -> None:
    answer = (await embedded(client, input=["a cat", "a ship"])).json()

    assert set(answer) == {"object", "data", "model", "usage"}
    assert (answer["object"], answer["model"]) == ("list", MODEL)
    assert [(one["object"], one["index"], len(one["embedding"])) for one in answer["data"]] == [
        ("embedding", 0, 384),
        ("embedding", 1, 384),
    ]
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 8


async def test_tokens_are_counted_as_the_model_reads_them(client: httpx.AsyncClient) -> None:
    texts = ["Hallo Welt.", "Wie geht es dir?", "Hallo Welt. Wie geht es dir?", "語" * 8, "🙂"]

    counted = (await client.post("/api/v1/vectors/tokens", json={"texts": texts})).raise_for_status().json()
    read = (await embedded(client, input=texts)).json()["usage"]["prompt_tokens"]

    hello, how, both, signs, face = counted["tokens"]
    assert (counted["model"], counted["window_tokens"]) == (MODEL, 508)
    assert (hello, how, both, face >= 1) == (3, 5, 8, True)
    assert signs >= 8
    assert read == sum(counted["tokens"]) + len(texts) * (512 - counted["window_tokens"])


@pytest.mark.parametrize("texts", [[], [""], ["x"] * 1001, "text", [1]])
async def test_what_is_no_list_of_texts_has_no_tokens(client: httpx.AsyncClient, texts: object) -> None:
    assert (await client.post("/api/v1/vectors/tokens", json={"texts": texts})).status_code == 422


async def test_base64_holds_the_same_numbers(client: httpx.AsyncClient) -> None:
    """What the `openai` client asks for unless told otherwise, and how it reads the answer."""
    plain = (await embedded(client, input="a cat")).json()["data"][0]["embedding"]
    coded = (await embedded(client, input="a cat", encoding_format="base64")).json()["data"][0]["embedding"]

    assert np.frombuffer(base64.b64decode(coded), dtype="float32").tolist() == pytest.approx(plain, rel=1e-6)


async def test_a_vector_made_here_is_what_a_text_is_stored_and_searched_with(client: httpx.AsyncClient) -> None:
    body = {"collection": "as-stored", "items": [{"id": "a", "text": "Cats sleep."}]}
    (await client.post("/api/v1/vectors/store", json=body)).raise_for_status()
    kept = (await client.get("/api/v1/vectors/collections/as-stored/records/a")).json()["vector"]
    search = {"collection": "as-stored", "query": "What do cats do?"}
    by_text = (await client.post("/api/v1/vectors/search", json=search)).json()["results"]

    made = (await embedded(client, input="Cats sleep.")).json()["data"][0]["embedding"]
    asked = (await embedded(client, input=search["query"], input_type="query")).json()["data"][0]["embedding"]
    search = {"collection": "as-stored", "vector": asked}
    by_vector = (await client.post("/api/v1/vectors/search", json=search)).json()["results"]

    assert made == pytest.approx(kept, abs=1e-6)
    assert by_vector == by_text


@pytest.mark.parametrize("tokens", [[1, 2, 3], [[1, 2], [3]]], ids=["one text", "several"])
async def test_arrays_of_tokens_are_refused_by_name(client: httpx.AsyncClient, tokens: list[object]) -> None:
    answer = await embedded(client, input=tokens)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
    assert "check_embedding_ctx_length=False" in answer.json()["error"]["message"]


async def test_what_is_not_offered_is_refused_by_its_name(client: httpx.AsyncClient) -> None:
    assert await refusal(client, input="a", user="me") == (400, "common.invalid", "user")
    assert await refusal(client, input="a", usr=None) == (400, "common.invalid", "usr")
    assert await refusal(client, input="a", model="ada-002") == (404, "vectors.embedding_model_not_found", "model")
    assert await refusal(client, input="a", dimensions=256) == (400, "vectors.dimensions_fixed", "dimensions")
    assert await refusal(client, input="a", encoding_format="int8") == (400, "common.invalid", "encoding_format")
    assert await refusal(client, input=["a", ""]) == (400, "common.invalid", "input[1]")
    assert await refusal(client, input=[]) == (400, "common.invalid", "input")
    assert await refusal(client, input=["a"] * 2049) == (400, "common.invalid", "input")
    assert (await embedded(client, input="a", dimensions=384)).status_code == 200


async def test_null_is_the_same_as_absent(client: httpx.AsyncClient) -> None:
    plain = await embedded(client, input="a", user=None, dimensions=None, encoding_format=None)

    assert (plain.status_code, len(plain.json()["data"][0]["embedding"])) == (200, 384)


async def test_a_body_larger_than_it_takes_is_not_parsed(client: httpx.AsyncClient) -> None:
    answer = await embedded(client, input=["x" * 16_000] * 135)

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "common.too_large")


async def test_as_many_texts_as_are_taken_are_answered_in_their_order(
    client: httpx.AsyncClient, other_user: User
) -> None:
    texts = [f"{at % 20}" for at in range(2048)]

    answer = await client.post(EMBEDDINGS, json={"model": MODEL, "input": texts}, headers=other_user.headers)

    data = answer.raise_for_status().json()["data"]
    assert [one["index"] for one in data] == list(range(2048))
    assert data[0]["embedding"] == data[980]["embedding"] != data[1]["embedding"]


async def test_a_neighbour_does_not_wait_for_all_that_another_embeds(
    open_vectors: ServiceClient, user: User, other_user: User, tmp_path: Path
) -> None:
    async with open_vectors("vectors", data_dir=tmp_path) as client:
        items = {"collection": "theirs", "items": [{"id": "a", "text": "Cats sleep."}]}
        (await client.post("/api/v1/vectors/store", json=items, headers=other_user.headers)).raise_for_status()
        body = {"model": MODEL, "input": [f"number {at}" for at in range(512)]}

        async with asyncio.TaskGroup() as group:
            crowd = group.create_task(client.post(EMBEDDINGS, json=body, headers=user.headers))
            search = {"collection": "theirs", "query": "What do cats do?"}
            found = await client.post("/api/v1/vectors/search", json=search, headers=other_user.headers)
            few = {"model": MODEL, "input": ["a", "b"]}
            made = await client.post(EMBEDDINGS, json=few, headers=other_user.headers)
            was_done = crowd.done()

    assert (found.status_code, made.status_code, crowd.result().status_code) == (200, 200, 200)
    assert not was_done
