"""OpenAI's own client, unmodified, at an agent whose model calls tools."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel

from tests.fixtures.identity import User
from tests.services.chat.completing import WEATHER
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_tools import WEATHER as OWN

TOOL: Any = WEATHER
ASKED: Any = {"role": "user", "content": "What is the weather in Ulm?"}
ULM = ("get_weather", {"city": "Ulm"})


class Warranty(BaseModel):
    months: int


@pytest.fixture
async def client(chat: httpx.AsyncClient, person: User) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{chat.base_url}/api/v1", api_key=person.token, max_retries=0) as opened:
        yield opened


async def test_a_tool_is_called_by_the_caller_and_answered_from(
    client: openai.AsyncOpenAI, agent_id: str, model: ModelServer, neighbours: Neighbours
) -> None:
    neighbours.agents[agent_id]["tools"], neighbours.tools = ["weather.now"], [OWN]
    model.scripted = [calls(ULM), calls(("weather_now", {"city": "Jena"})), says("Rain in both.")]
    first = await client.chat.completions.create(model="support", messages=[ASKED], tools=[TOOL])
    message = first.choices[0].message
    assert message.tool_calls is not None

    result: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Rain."}
    second = await client.chat.completions.create(model="support", messages=[ASKED, message, result], tools=[TOOL])  # type: ignore[list-item]

    assert (first.choices[0].finish_reason, message.tool_calls[0].function.name) == ("tool_calls", "get_weather")  # type: ignore[union-attr]
    assert (second.choices[0].finish_reason, second.choices[0].message.content) == ("stop", "Rain in both.")
    assert neighbours.called == [("weather.now", {"city": "Jena"})]


async def test_calls_are_put_together_from_a_stream(client: openai.AsyncOpenAI, model: ModelServer) -> None:
    model.scripted = [calls(ULM, ("get_weather", {"city": "Jena"}), text="Let me see.")]

    async with client.chat.completions.stream(model="scripted", messages=[ASKED], tools=[TOOL]) as stream:
        final = await stream.get_final_completion()

    message = final.choices[0].message
    assert message.tool_calls is not None
    assert [call.function.arguments for call in message.tool_calls] == ['{"city": "Ulm"}', '{"city": "Jena"}']
    assert (message.content, final.choices[0].finish_reason) == ("Let me see.", "tool_calls")


async def test_an_answer_is_parsed_into_a_class(client: openai.AsyncOpenAI, model: ModelServer) -> None:
    model.scripted = [says('{"months": 27}')] * 2

    whole = await client.chat.completions.parse(model="scripted", messages=[ASKED], response_format=Warranty)
    async with client.chat.completions.stream(model="scripted", messages=[ASKED], response_format=Warranty) as stream:
        streamed = await stream.get_final_completion()

    assert whole.choices[0].message.parsed == streamed.choices[0].message.parsed == Warranty(months=27)


async def test_an_error_in_the_middle_of_a_stream_is_raised(client: openai.AsyncOpenAI, model: ModelServer) -> None:
    model.breaks_after = 1
    stream = await client.chat.completions.create(model="scripted", messages=[ASKED], stream=True)

    with pytest.raises(openai.APIError) as failed:
        async for _ in stream:
            pass

    assert (failed.value.code, failed.value.type) == ("chat.model_unavailable", "server_error")


async def test_an_error_before_anything_was_said_is_raised_with_its_status(
    client: openai.AsyncOpenAI, model: ModelServer
) -> None:
    model.refuses = [(503, {}, {"retry-after": "7"})]

    with pytest.raises(openai.InternalServerError) as failed:
        await client.chat.completions.create(model="scripted", messages=[ASKED], stream=True)

    assert (failed.value.status_code, failed.value.code) == (503, "chat.model_unavailable")
    assert failed.value.response.headers["retry-after"] == "7"
