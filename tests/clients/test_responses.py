"""What OpenAI's own client makes of responses through the gateway: an agent with knowledge, streams, errors.

The suite's model calls no tools: what is made of calls is in tests/services/chat/test_responses.py.
"""

import asyncio
from contextlib import suppress

import httpx
import openai
import pytest
from openai.types.responses import Response

from tests.fixtures.identity import RegisterUser
from tests.fixtures.patience import PATIENCE_SECONDS

QUESTION = "How long is the warranty of the Falcon?"


async def test_a_response_is_answered_read_and_gone_on_from(client: openai.AsyncOpenAI, knowing: str) -> None:
    first = await client.responses.create(model=knowing, input=QUESTION, metadata={"customer": "4711"})

    assert "27 months" in first.output_text
    assert (first.status, first.metadata) == ("completed", {"customer": "4711"})
    assert first.usage is not None
    assert first.usage.total_tokens > 0
    assert await client.responses.retrieve(first.id) == first
    second = await client.responses.create(model=knowing, input="And in days?", previous_response_id=first.id)
    told = [item async for item in client.responses.input_items.list(second.id, order="asc")]
    assert [item.type for item in told] == ["message"] * 3
    assert second.output_text


async def test_what_was_said_is_taken_back_as_it_was_given_out(client: openai.AsyncOpenAI, knowing: str) -> None:
    first = await client.responses.create(model=knowing, input=QUESTION)
    said = [one.model_dump(exclude_none=True) for one in first.output]

    second = await client.responses.create(
        model=knowing,
        input=[{"role": "user", "content": QUESTION}, *said, {"role": "user", "content": "Sure?"}],  # type: ignore[list-item]
    )

    assert second.output_text


async def test_the_clients_own_stream_makes_the_response_of_the_events(
    client: openai.AsyncOpenAI, knowing: str
) -> None:
    deltas, numbers = "", list[int]()
    async with client.responses.stream(model=knowing, input=QUESTION) as stream:
        async for event in stream:
            numbers.append(event.sequence_number)
            if event.type == "response.output_text.delta":
                deltas += event.delta
        final = await stream.get_final_response()

    assert numbers == list(range(len(numbers)))
    assert deltas == final.output_text
    again = await client.responses.retrieve(final.id, stream=True, starting_after=1)
    assert [event.sequence_number async for event in again] == numbers[2:]


async def test_in_the_background_it_is_cancelled_and_deleted(client: openai.AsyncOpenAI, knowing: str) -> None:
    async def one_that_is_cancelled() -> tuple[Response, Response]:
        """As it began, and as it was left: where this process stood still between the two, it has ended by itself."""
        while True:
            begun = await client.responses.create(
                model=knowing, input="Count from one to a hundred.", background=True, max_output_tokens=512
            )
            with suppress(openai.ConflictError):
                return begun, await client.responses.cancel(begun.id)

    async with asyncio.timeout(PATIENCE_SECONDS):
        begun, cancelled = await one_that_is_cancelled()

    assert (begun.status, cancelled.status) == ("in_progress", "cancelled")
    await client.responses.delete(begun.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(begun.id)


async def test_what_is_refused_is_the_clients_own_error(
    client: openai.AsyncOpenAI, gateway: httpx.AsyncClient, knowing: str, register_user: RegisterUser
) -> None:
    with pytest.raises(openai.BadRequestError) as unsupported:
        await client.responses.create(model=knowing, input=QUESTION, tools=[{"type": "web_search"}])
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.responses.create(
            model=knowing, input=QUESTION, previous_response_id=f"resp_{'0' * 8}-0000-7000-8000-{'0' * 12}"
        )
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model="nobody", input=QUESTION)

    assert unsupported.value.param == "tools[0]"
    assert unknown.value.param == "previous_response_id"
    mine = await client.responses.create(model=knowing, input=QUESTION)
    stranger = await register_user()
    assert (await gateway.get(f"/api/v1/responses/{mine.id}", headers=stranger.headers)).status_code == 404
