"""What OpenAI's own client makes of completions through the gateway: an agent with knowledge, streams, errors.

The suite's model calls no tools: what the client makes of calls is in tests/services/chat/test_completion_client.py.
"""

import asyncio
from typing import Any

import httpx
import openai
import pytest

from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def agent(knowing: str) -> str:
    return knowing


@pytest.fixture(scope="module")
async def model(client: openai.AsyncOpenAI, agent: str) -> str:
    """The name of a provider's model."""
    listed = {one.id: one.owned_by async for one in client.models.list()}
    return next(name for name, owner in listed.items() if owner != "agents")


async def test_agents_and_models_are_listed_and_found(client: openai.AsyncOpenAI, agent: str, model: str) -> None:
    listed = {one.id: one.owned_by async for one in client.models.list()}

    assert listed[agent] == "agents"
    assert (await client.models.retrieve(agent)).id == agent
    assert (await client.models.retrieve(model)).id == model


async def test_an_agent_answers_from_what_it_knows_and_its_run_is_seen(
    client: openai.AsyncOpenAI, gateway: httpx.AsyncClient, owner: User, agent: str
) -> None:
    answer = await client.chat.completions.create(
        model=agent, messages=[{"role": "user", "content": "How long is the warranty of the Falcon?"}]
    )

    choice = answer.choices[0]
    assert choice.message.content is not None
    assert "27 months" in choice.message.content
    assert choice.message.model_extra is not None
    assert [one["record_id"] for one in choice.message.model_extra["citations"]] == ["warranty"]
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0
    run_id = answer.id.removeprefix("chatcmpl-")
    run = (await gateway.get(f"/api/v1/chat/runs/{run_id}", headers=owner.headers)).json()
    assert (run["state"], run["door"]) == ("completed", "completions")


async def test_an_answer_that_is_given_back_whole_is_taken(client: openai.AsyncOpenAI, agent: str) -> None:
    messages: list[Any] = [{"role": "user", "content": "How long is the warranty of the Falcon?"}]
    first = await client.chat.completions.create(model=agent, messages=messages)

    messages += [first.choices[0].message, {"role": "user", "content": "And in days?"}]
    second = await client.chat.completions.create(model=agent, messages=messages)

    assert second.choices[0].message.content


async def test_an_answer_is_streamed_with_its_usage(client: openai.AsyncOpenAI, model: str) -> None:
    stream = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Say hello."}],
        max_tokens=16,
        temperature=0,
        seed=1,
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = [chunk async for chunk in stream]

    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert [choice.finish_reason for choice in chunks[-2].choices] == ["length"] or chunks[-2].choices
    assert chunks[-1].usage is not None
    assert 0 < chunks[-1].usage.completion_tokens <= 16


async def test_an_answer_has_the_form_that_is_asked_for(client: openai.AsyncOpenAI, model: str) -> None:
    schema: dict[str, object] = {"type": "object", "properties": {"city": {"enum": ["Ulm"]}}, "required": ["city"]}

    answer = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Which city has the tallest church?"}],
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    )

    assert answer.choices[0].message.content is not None
    assert '"Ulm"' in answer.choices[0].message.content


async def test_whoever_is_not_there_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        await client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "Hello."}])

    assert (refused.value.code, refused.value.param) == ("chat.model_not_found", "model")


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"store": True}, "store"),
        ({"temperature": 3}, "temperature"),
        ({"extra_body": {"unknown": 1}}, "unknown"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, None),
        ({"messages": [{"role": "tool", "tool_call_id": "never", "content": "x"}]}, None),
    ],
    ids=["several answers", "bias", "stored", "beyond", "unknown", "what is no picture", "call never made"],
)
async def test_what_is_not_supported_is_a_bad_request(
    client: openai.AsyncOpenAI, agent: str, members: dict[str, Any], param: str | None
) -> None:
    asked: dict[str, Any] = {"model": agent, "messages": [{"role": "user", "content": "Hello."}], **members}

    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(**asked)

    assert refused.value.type == "invalid_request_error"
    assert param is None or refused.value.param == param


async def test_an_invented_key_opens_nothing(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key="sk-invented").models.list()


async def test_a_stream_that_is_left_ends_its_run(
    client: openai.AsyncOpenAI, gateway: httpx.AsyncClient, owner: User, model: str
) -> None:
    async def state_of(run: str) -> str:
        return str((await gateway.get(f"/api/v1/chat/runs/{run}", headers=owner.headers)).json()["state"])

    async def left() -> str:
        """A run that was going on when its stream was left, as one may not, where this process stood still."""
        while True:
            stream = await client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": "Count from one to a thousand."}],
                max_tokens=512,
                stream=True,
            )
            run = (await anext(aiter(stream))).id.removeprefix("chatcmpl-")
            was = await state_of(run)
            await stream.close()
            if was == "running":
                return run

    async with asyncio.timeout(PATIENCE_SECONDS):
        run = await left()
        while (state := await state_of(run)) == "running":  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.05)
    assert state == "cancelled"
