"""An answer that is to have a form."""

from typing import Any

import httpx
import pytest

from tests.services.chat.client import events_of
from tests.services.chat.scripts import calls, refuses, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_tools import WEATHER

MESSAGE = "/api/v1/chat/message"
SCHEMA = {
    "type": "object",
    "properties": {"months": {"type": "integer"}},
    "required": ["months"],
    "additionalProperties": False,
}


@pytest.fixture
def body(agent_id: str) -> dict[str, Any]:
    return {"agent_id": agent_id, "content": "How long is the warranty?", "response_schema": SCHEMA}


async def test_the_form_is_demanded_of_the_model_and_the_answer_is_its_json(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [says('{"months": 27}')]

    answer = await chat.post(MESSAGE, json=body)

    assert answer.json()["message"]["content"] == '{"months": 27}'
    assert model.asked[0]["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize("first", ["27 months", '{"months": "27"}'])
async def test_an_answer_of_another_form_is_repaired_once(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, first: str
) -> None:
    model.scripted = [says(first), says('{"months": 27}')]

    async with chat.stream("POST", MESSAGE, json=body | {"stream": True}) as response:
        events = [event async for event in events_of(response)]

    written = ""
    for event in events:
        written = "" if event.type == "message.discarded" else written
        written += event.data["content"] if event.type == "message.delta" else ""
    assert written == events[-2].data["message"]["content"] == '{"months": 27}'
    assert [event.data for event in events if event.type == "message.discarded"] == [{"reason": "off_schema"}]
    assert '"months"' in model.asked[1]["messages"][-1]["content"]


async def test_an_answer_that_stays_off_its_form_fails_the_run(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [says("27"), says("27 months"), says('{"months": 27}')]

    answer = await chat.post(MESSAGE, json=body)

    assert (answer.status_code, answer.json()["code"]) == (502, "chat.answer_off_schema")
    assert len(model.asked) == 2


async def test_an_answer_is_made_anew_in_a_form_that_is_given_again(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [says('{"months": 27}'), says('{"months": 12}'), says("12 months"), says("a year"), says("12")]
    made = (await chat.post(MESSAGE, json=body)).json()
    path = f"/api/v1/chat/conversations/{made['conversation_id']}/regenerate"

    fits = await chat.post(path, json={"response_schema": SCHEMA})
    off = await chat.post(path, json={"response_schema": SCHEMA})
    without = await chat.post(path, json={})

    assert fits.json()["message"]["content"] == '{"months": 12}'
    assert (off.status_code, off.json()["code"]) == (502, "chat.answer_off_schema")
    assert without.json()["message"]["content"] == "12"
    assert ["response_format" in asked for asked in model.asked] == [True, True, True, True, False]


async def test_a_refusal_needs_no_form(chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer) -> None:
    model.scripted = [refuses("I will not.")]

    answer = await chat.post(MESSAGE, json=body)

    assert (answer.status_code, answer.json()["finish_reason"]) == (200, "refusal")


async def test_tools_may_be_called_on_the_way(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, neighbours: Neighbours, agent_id: str
) -> None:
    neighbours.agents[agent_id]["tools"] = ["weather.now"]
    neighbours.tools = [WEATHER]
    model.scripted = [calls(("weather_now", {"city": "Ulm"})), says('{"months": 27}')]

    answer = await chat.post(MESSAGE, json=body)

    assert answer.json()["message"]["content"] == '{"months": 27}'


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "https://example.com/schema.json"},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        {"description": "x" * 17_000},
        {"maximum": 2**70},
        "no object",
    ],
)
async def test_a_schema_that_is_none_is_refused(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, schema: Any
) -> None:
    answer = await chat.post(MESSAGE, json=body | {"response_schema": schema})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/response_schema"
    assert model.asked == []
