"""What goes to a provider and what comes back, over a real connection."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from services.chat.adapters.openai_model import OpenAIModel, Timing
from services.chat.errors import ContextExceeded, ModelRefused
from services.chat.generation import Ask, Completion, Heard, PromptMessage, Reasoning, ToolCall, ToolSpec, Usage
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.chat.servers import ModelServer, serving

CALL = ToolCall("c1", "weather", '{"city":"Kiel"}')
ASK = Ask(
    "m",
    [
        PromptMessage("user", "Rain?"),
        PromptMessage("assistant", "", [CALL]),
        PromptMessage("tool", "Yes.", tool_call_id="c1"),
    ],
    tools=[ToolSpec("weather", "Tells it.", {"type": "object"})],
    response_schema={"type": "object"},
)
NO = dict[str, str]()


@pytest.fixture
async def provider(model: ModelServer) -> AsyncIterator[OpenAIModel]:
    limits = Timing(PATIENCE_SECONDS, PATIENCE_SECONDS, PATIENCE_SECONDS, temperature=0)
    async with serving(model) as url, aiohttp.ClientSession() as session:
        yield OpenAIModel(session, f"{url}/v1", limits)


async def told(provider: OpenAIModel) -> list[object]:
    return [item async for item in provider.generate(ASK, answer_tokens=64, heard=Heard())]


async def test_tools_their_answers_and_the_form_of_the_answer_are_sent(
    provider: OpenAIModel, model: ModelServer
) -> None:
    await told(provider)

    body = model.asked[0]
    function = {"name": "weather", "arguments": '{"city":"Kiel"}'}
    assert body["messages"] == [
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "content": "Yes.", "tool_call_id": "c1"},
    ]
    assert body["tools"][0]["function"] == {
        "name": "weather",
        "description": "Tells it.",
        "parameters": {"type": "object"},
    }
    assert body["response_format"]["json_schema"] == {"name": "answer", "schema": {"type": "object"}}
    assert (body["max_tokens"], body["temperature"]) == (64, 0)
    assert "max_completion_tokens" not in body


async def test_thought_text_and_tool_calls_come_back_apart(provider: OpenAIModel, model: ModelServer) -> None:
    function = {"name": "weather", "arguments": "{}"}
    model.scripted = [
        [
            {"choices": [{"delta": {"reasoning_content": "Hm"}}]},
            {"choices": [{"delta": {"content": "Let me see."}}]},
            {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c2", "function": function}]}}]},
            {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
        ]
    ]

    items = await told(provider)

    assert items[:2] == [Reasoning("Hm"), "Let me see."]
    assert items[2] == Completion("tool_calls", None, (ToolCall("c2", "weather", "{}"),))


async def test_one_json_in_place_of_a_stream_is_an_answer(provider: OpenAIModel, model: ModelServer) -> None:
    model.raw = [
        b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    ]

    assert await told(provider) == ["Hi", Completion("stop", Usage(1, 1, 2))]


@pytest.mark.parametrize(
    ("error", "sent", "not_sent"),
    [
        ({"message": "Unrecognized: stream_options"}, "max_tokens", "stream_options"),
        ({"message": "This response_format type is unavailable now"}, "max_tokens", "response_format"),
        ({"message": "no", "param": "max_tokens"}, "max_completion_tokens", "max_tokens"),
        (
            {"message": "'max_tokens' is not supported. Use 'max_completion_tokens' instead."},
            "max_completion_tokens",
            "max_tokens",
        ),
        ({"message": "'temperature' does not support 0 with this model"}, "max_tokens", "temperature"),
    ],
)
async def test_what_a_provider_does_not_know_is_learned_once(
    provider: OpenAIModel, model: ModelServer, error: dict[str, str], sent: str, not_sent: str
) -> None:
    model.refuses = [(400, {"error": error}, NO)]

    await told(provider)
    await told(provider)

    assert [not_sent in body for body in model.asked] == [True, False, False]
    assert all(sent in body for body in model.asked[1:])


async def test_a_provider_that_refuses_everything_is_asked_a_few_times_only(
    provider: OpenAIModel, model: ModelServer
) -> None:
    body = {"detail": [{"loc": ["max_tokens", "max_completion_tokens", "temperature", "response_format"]}]}
    model.refuses = [(422, body, NO)] * 50

    with pytest.raises(ModelRefused):
        await told(provider)

    assert len(model.asked) == 5
    model.refuses, model.asked = [], []
    await told(provider)
    assert "response_format" in model.asked[0]  # nothing is learned from what never worked


@pytest.mark.parametrize(
    "error",
    [
        {"code": "context_length_exceeded"},
        {"type": "exceed_context_size_error"},
        {"message": "'max_tokens' is too large: 512. This model's maximum context length is 500 tokens."},
    ],
)
async def test_a_prompt_that_is_too_long_is_told_apart(
    provider: OpenAIModel, model: ModelServer, error: dict[str, str]
) -> None:
    model.refuses = [(400, {"error": error}, NO)]

    with pytest.raises(ContextExceeded):
        await told(provider)
