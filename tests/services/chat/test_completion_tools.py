"""Tools in completions: the caller's are handed out, an agent's own are called here."""

from typing import Any

import httpx
import pytest

from tests.services.chat.client import events_of, until
from tests.services.chat.completing import COMPLETIONS, QUESTION, RUNS, WEATHER, asking, deltas, joined, streamed
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_tools import WEATHER as OWN

ULM = ("get_weather", {"city": "Ulm"})
CALL = {"id": "c0", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Ulm"}'}}


@pytest.fixture
def agent(agent_id: str, neighbours: Neighbours) -> str:
    """An agent with a tool of its own."""
    neighbours.agents[agent_id]["tools"] = ["weather.now"]
    neighbours.tools = [OWN]
    neighbours.tool_results["weather.now"] = {"content": "Rain."}
    return agent_id


async def test_a_call_of_the_callers_tool_is_handed_out_and_answered_from(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    model.scripted = [calls(ULM, text="Let me see."), says("It rains.")]
    first = (await chat.post(COMPLETIONS, json=asking(agent_id, tools=[WEATHER]))).json()["choices"][0]
    result = {"role": "tool", "tool_call_id": "c0", "content": "Rain."}

    body = asking(agent_id, QUESTION, first["message"], result, tools=[WEATHER])
    second = (await chat.post(COMPLETIONS, json=body)).json()["choices"][0]

    assert (first["finish_reason"], first["message"]["content"]) == ("tool_calls", "Let me see.")
    assert first["message"]["tool_calls"] == [CALL]
    assert second["message"]["content"] == "It rains."
    assert model.asked[0]["tools"] == [WEATHER]
    assert model.asked[1]["messages"][-2:] == [
        {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]},
        result,
    ]


async def test_a_call_that_was_cut_is_no_call_to_be_made(chat: httpx.AsyncClient, model: ModelServer) -> None:
    """Half of its arguments may read as JSON: only the end says that there was more."""
    cut = calls(("get_weather", '{"city": "U'))
    cut[-2]["choices"][0]["finish_reason"] = "length"
    model.scripted = [cut, cut]

    whole = (await chat.post(COMPLETIONS, json=asking(tools=[WEATHER], max_tokens=5))).json()["choices"][0]
    chunks = await streamed(chat, asking(tools=[WEATHER], max_tokens=5))

    assert whole["finish_reason"] == chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert whole["message"]["tool_calls"][0]["function"]["arguments"] == '{"city": "U'


async def test_an_answer_that_calls_nothing_does_not_say_so(chat: httpx.AsyncClient, model: ModelServer) -> None:
    said = says("It rains.")
    said[-2]["choices"][0]["finish_reason"] = "tool_calls"
    model.scripted = [said]

    choice = (await chat.post(COMPLETIONS, json=asking(tools=[WEATHER]))).json()["choices"][0]

    assert (choice["finish_reason"], choice["message"]["content"]) == ("stop", "It rains.")


async def test_calls_are_streamed_and_lie_with_the_run(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted = [calls(ULM, ("get_weather", {"city": "Jena"}))]

    chunks = await streamed(chat, asking(tools=[WEATHER]))

    told = [call for some in deltas(chunks, "tool_calls") for call in some]
    assert told == [{"index": 0, **CALL}, {"index": 1, **told[1]}]
    assert told[1]["function"]["arguments"] == '{"city": "Jena"}'
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    run_id = chunks[0]["id"].removeprefix("chatcmpl-")
    async with chat.stream("GET", f"{RUNS}/{run_id}/events") as response:
        events = [event async for event in events_of(response)]
    assert [call["name"] for call in events[-1].data["tool_calls"]] == ["get_weather", "get_weather"]


async def test_an_agent_calls_its_own_tools_on_the_way(
    chat: httpx.AsyncClient, agent: str, model: ModelServer, neighbours: Neighbours
) -> None:
    model.scripted = [calls(("weather_now", {"city": "Ulm"}), text="Let me look."), says("It rains.")] * 2

    whole = (await chat.post(COMPLETIONS, json=asking(agent, tools=[WEATHER]))).json()["choices"][0]
    chunks = await streamed(chat, asking(agent, tools=[WEATHER]))

    assert [tool["function"]["name"] for tool in model.asked[0]["tools"]] == ["weather_now", "get_weather"]
    assert neighbours.called[0] == ("weather.now", {"city": "Ulm"})
    assert (whole["finish_reason"], whole["message"]["content"]) == ("stop", "It rains.")
    assert joined(chunks) == "Let me look.\n\nIt rains."  # what was said cannot be taken back


async def test_of_a_step_that_calls_both_the_callers_calls_end_the_run(
    chat: httpx.AsyncClient, agent: str, model: ModelServer, neighbours: Neighbours
) -> None:
    model.scripted = [calls(("weather_now", {"city": "Jena"}), ULM)]

    choice = (await chat.post(COMPLETIONS, json=asking(agent, tools=[WEATHER]))).json()["choices"][0]

    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == ["get_weather"]
    assert neighbours.called == []


async def test_a_tool_of_the_callers_keeps_its_name_beside_one_of_the_agents(
    chat: httpx.AsyncClient, agent: str, model: ModelServer
) -> None:
    same = {"type": "function", "function": {"name": "weather_now", "description": "Mine."}}
    model.scripted = [calls(("weather_now", {}))]

    choice = (await chat.post(COMPLETIONS, json=asking(agent, tools=[same]))).json()["choices"][0]

    own, callers = [tool["function"]["name"] for tool in model.asked[0]["tools"]]
    assert callers == choice["message"]["tool_calls"][0]["function"]["name"] == "weather_now"
    assert own.startswith("weather_now_")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
async def test_a_call_that_is_demanded_is_one_of_the_callers(
    chat: httpx.AsyncClient, agent: str, model: ModelServer, choice: Any
) -> None:
    model.scripted = [calls(ULM)]

    await chat.post(COMPLETIONS, json=asking(agent, tools=[WEATHER], tool_choice=choice))

    assert [tool["function"]["name"] for tool in model.asked[0]["tools"]] == ["get_weather"]
    assert model.asked[0]["tool_choice"] == choice


async def test_tools_that_are_not_to_be_called_are_not_told(
    chat: httpx.AsyncClient, agent: str, model: ModelServer
) -> None:
    await chat.post(COMPLETIONS, json=asking(agent, tools=[WEATHER], tool_choice="none"))

    assert [tool["function"]["name"] for tool in model.asked[0]["tools"]] == ["weather_now"]
    assert "tool_choice" not in model.asked[0]


async def test_only_one_call_is_handed_out_where_only_one_is_wanted(
    chat: httpx.AsyncClient, model: ModelServer
) -> None:
    model.scripted = [calls(ULM, ULM)]

    answer = await chat.post(COMPLETIONS, json=asking(tools=[WEATHER], parallel_tool_calls=False))

    assert answer.json()["choices"][0]["message"]["tool_calls"] == [CALL]
    assert model.asked[0]["parallel_tool_calls"] is False


async def test_a_call_that_needs_an_approval_says_where_it_is_decided(
    chat: httpx.AsyncClient, agent: str, model: ModelServer, neighbours: Neighbours
) -> None:
    neighbours.tools = [OWN | {"needs_approval": True}]
    model.scripted = [calls(("weather_now", {"city": "Ulm"})), calls(ULM)]

    answer = await chat.post(COMPLETIONS, json=asking(agent, tools=[WEATHER], seed=7))

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "chat.approval_needed")
    place = error["message"].split("POST ")[1].split(",")[0]
    assert (await chat.post(place, json={"approve": True})).status_code == 200
    run = place.rsplit("/approvals", 1)[0]

    async def completed() -> bool:
        return bool((await chat.get(run)).json()["state"] == "completed")

    await until(completed)
    assert neighbours.called == [("weather.now", {"city": "Ulm"})]
    assert (model.asked[1]["seed"], len(model.asked[1]["tools"])) == (7, 2)  # as it was asked for at first
    async with chat.stream("GET", f"{run}/events") as response:
        events = [event async for event in events_of(response)]
    assert [call["name"] for call in events[-1].data["tool_calls"]] == ["get_weather"]


async def test_a_stream_that_meets_an_approval_ends_with_its_error(
    chat: httpx.AsyncClient, agent: str, model: ModelServer, neighbours: Neighbours
) -> None:
    neighbours.tools = [OWN | {"needs_approval": True}]
    model.scripted = [calls(("weather_now", {"city": "Ulm"}), text="Let me look.")]

    chunks = await streamed(chat, asking(agent))

    assert chunks[-1]["error"]["code"] == "chat.approval_needed"
    run_id = chunks[0]["id"].removeprefix("chatcmpl-")
    assert (await chat.get(f"{RUNS}/{run_id}")).json()["state"] == "requires_action"  # it is not left
