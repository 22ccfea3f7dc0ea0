"""`POST /embeddings` as OpenAI's clients ask it, over the real app and its model."""

import base64

import httpx
import numpy as np
import pytest

from tests.fixtures.identity import User

EMBEDDINGS = "/api/v1/embeddings"
MODEL = "multilingual-e5-small"


async def embedded(client: httpx.AsyncClient, **body: object) -> httpx.Response:
    return await client.post(EMBEDDINGS, json={"model": MODEL, **body})


async def refusal(client: httpx.AsyncClient, **body: object) -> tuple[int, str, str]:
    """Status, code, and the place that is named."""
    answer = await embedded(client, **body)
    problem = answer.json()
    return answer.status_code, problem["code"], problem["errors"][0]["pointer"]


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
    answer = (await embedded(client, input=tokens)).json()

    assert answer["status"] == 422
    assert answer["errors"][0]["code"] == "tokens_refused"
    assert "check_embedding_ctx_length=False" in answer["errors"][0]["detail"]


async def test_what_is_not_offered_is_refused_by_its_name(client: httpx.AsyncClient) -> None:
    assert await refusal(client, input="a", user="me") == (422, "common.invalid", "/user")
    assert await refusal(client, input="a", model="ada-002") == (422, "vectors.unknown_model", "/model")
    assert await refusal(client, input="a", dimensions=256) == (422, "vectors.dimensions_fixed", "/dimensions")
    assert await refusal(client, input="a", encoding_format="int8") == (422, "common.invalid", "/encoding_format")
    assert await refusal(client, input=["a", ""]) == (422, "common.invalid", "/input/1")
    assert await refusal(client, input=[]) == (422, "common.invalid", "/input")
    assert await refusal(client, input=["a"] * 1001) == (422, "common.invalid", "/input")
    assert (await embedded(client, input="a", dimensions=384)).status_code == 200


async def test_a_body_larger_than_it_takes_is_not_parsed(client: httpx.AsyncClient) -> None:
    answer = await embedded(client, input=["x" * 16_000] * 70)

    assert (answer.status_code, answer.json()["code"]) == (413, "common.too_large")


async def test_a_thousand_texts_are_answered_in_their_order(client: httpx.AsyncClient, other_user: User) -> None:
    texts = [f"{at % 20}" for at in range(1000)]

    answer = await client.post(EMBEDDINGS, json={"model": MODEL, "input": texts}, headers=other_user.headers)

    data = answer.raise_for_status().json()["data"]
    assert [one["index"] for one in data] == list(range(1000))
    assert data[0]["embedding"] == data[980]["embedding"] != data[1]["embedding"]
