"""What OpenAI's own client makes of our answers: its objects, and its classes of exceptions."""

import asyncio
from typing import Any

import httpx
import openai
import pytest

from tests.fixtures.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.timeout(400)
MODEL = "multilingual-e5-small"


async def test_texts_become_vectors(client: openai.AsyncOpenAI) -> None:
    """Asked for as base64 unless told otherwise, which the client turns into numbers."""
    coded = await client.embeddings.create(model=MODEL, input=["a cat", "a ship"])
    plain = await client.embeddings.create(model=MODEL, input="a cat", encoding_format="float")

    assert [(one.object, one.index, len(one.embedding)) for one in coded.data] == [
        ("embedding", 0, 384),
        ("embedding", 1, 384),
    ]
    assert coded.data[0].embedding == pytest.approx(plain.data[0].embedding, rel=1e-6)
    assert coded.usage.prompt_tokens == coded.usage.total_tokens > plain.usage.total_tokens > 0


async def test_limits_and_the_id_of_a_request_are_read(client: openai.AsyncOpenAI) -> None:
    answer = await client.embeddings.with_raw_response.create(model=MODEL, input="a cat")

    limit, remaining = (int(answer.headers[f"x-ratelimit-{which}-requests"]) for which in ("limit", "remaining"))
    assert 0 < remaining < limit
    assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
    assert answer.request_id == answer.headers["x-request-id"]


async def test_a_browser_may_send_what_the_client_sends(gateway: httpx.AsyncClient, client: openai.AsyncOpenAI) -> None:
    sent = {name.lower() for name in client.default_headers} - {"accept", "user-agent"}
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}

    answer = await gateway.options("/api/v1/embeddings", headers=asked)

    assert "x-stainless-lang" in sent
    assert sent - set(answer.headers["access-control-allow-headers"].lower().split(",")) == set()


async def test_another_model_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        await client.embeddings.create(model="text-embedding-3-small", input="a cat")

    error = refused.value
    assert (error.code, error.param, error.type) == (
        "vectors.embedding_model_not_found",
        "model",
        "not_found_error",
    )
    assert MODEL in error.message
    assert error.request_id


async def test_nobody_is_known_by_an_invented_key(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        await client.with_options(api_key="sk-invented").embeddings.create(model=MODEL, input="a cat")

    assert (refused.value.code, refused.value.type) == ("common.unauthenticated", "authentication_error")


@pytest.mark.parametrize(
    ("body", "param"),
    [({"user": "me"}, "user"), ({"extra_body": {"unknown": 1}}, "unknown"), ({"dimensions": 256}, "dimensions")],
    ids=["unsupported", "unknown", "another value"],
)
async def test_what_is_not_supported_is_a_bad_request_that_names_it(
    client: openai.AsyncOpenAI, body: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.embeddings.create(model=MODEL, input="a cat", **body)

    assert (refused.value.param, refused.value.type) == (param, "invalid_request_error")
    assert param in refused.value.message


async def test_what_is_too_large_says_so(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        await client.embeddings.create(model=MODEL, input=["x" * 16_000] * 135)

    assert (refused.value.status_code, refused.value.code) == (413, "common.too_large")


async def test_more_at_once_than_one_may_have_is_a_rate_limit(client: openai.AsyncOpenAI) -> None:
    refused, tries = list[BaseException](), 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not refused:  # on a busy machine the first may be done before the last has come
            texts = [[f"number {at} of {request}, {tries}" for at in range(16)] for request in range(24)]
            made = [client.embeddings.create(model=MODEL, input=one) for one in texts]
            answers = await asyncio.gather(*made, return_exceptions=True)
            refused = [one for one in answers if isinstance(one, BaseException)]
            tries += 1

    for one in refused:
        assert isinstance(one, openai.RateLimitError)
        assert (one.code, one.type) == ("common.share_taken", "rate_limit_error")
        assert int(one.response.headers["retry-after"]) > 0
