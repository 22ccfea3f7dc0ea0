"""Responses whose run calls tools of an agent's, lies down, is left, or loses its process."""

import asyncio
from typing import Any

import httpx
import orjson
import pytest

from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.chat.client import OpenChat, until
from tests.services.chat.processes import StartProcess
from tests.services.chat.responding import RESPONSES, asking, created, followed, streamed, text_of, typed_of
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_tools import WEATHER as OWN

RUNS = "/api/v1/chat/runs"
ULM = ("weather_now", {"city": "Ulm"})


@pytest.fixture
def agent(agent_id: str, neighbours: Neighbours) -> str:
    """An agent with a tool of its own."""
    neighbours.agents[agent_id]["tools"] = ["weather.now"]
    neighbours.tools = [OWN]
    neighbours.tool_results["weather.now"] = {"content": "Rain."}
    return agent_id


async def id_in(response: httpx.Response) -> str:
    """The id that the first event of a stream tells."""
    line = await anext(line async for line in response.aiter_lines() if line.startswith("data: "))
    return str(orjson.loads(line.removeprefix("data: "))["response"]["id"])


async def has(chat: httpx.AsyncClient, id_: str, status: str) -> None:
    """Wait until the response has the status."""

    async def is_so() -> bool:
        return bool((await chat.get(f"{RESPONSES}/{id_}")).json()["status"] == status)

    await until(is_so)


async def test_what_is_said_before_an_agents_own_calls_is_an_item(
    chat: httpx.AsyncClient, agent: str, model: ModelServer, neighbours: Neighbours
) -> None:
    model.scripted = [calls(ULM, text="Let me look."), says("It rains."), says("Yes.")]

    events = await streamed(chat, asking(agent))
    last = events[-1]["response"]
    await created(chat, model=agent, input="Sure?", previous_response_id=last["id"])

    said = [item["content"][0]["text"] for item in last["output"]]
    assert said == ["Let me look.", "It rains."]
    assert neighbours.called == [("weather.now", {"city": "Ulm"})]
    assert (await chat.get(f"{RESPONSES}/{last['id']}")).json() == last
    assert [one["content"] for one in model.asked[2]["messages"]][-2:] == ["\n\n".join(said), "Sure?"]


async def test_one_that_waits_for_an_approval_says_where_and_goes_on(
    chat: httpx.AsyncClient, agent: str, model: ModelServer, neighbours: Neighbours
) -> None:
    neighbours.tools = [OWN | {"needs_approval": True}]
    model.scripted = [calls(ULM, text="Let me look."), says("It rains.")]

    events = await streamed(chat, asking(agent))

    *before, error = events
    id_ = before[0]["response"]["id"]
    assert (error["type"], error["code"]) == ("error", "chat.approval_needed")
    assert error["sequence_number"] == before[-1]["sequence_number"]
    assert (await chat.get(f"{RESPONSES}/{id_}")).json()["status"] == "in_progress"
    place = error["message"].split("POST ")[1].split(",")[0]
    assert (await chat.post(place, json={"approve": True})).status_code == 200
    await has(chat, id_, "completed")
    rest = await followed(chat, id_, starting_after=error["sequence_number"])
    numbers = [one["sequence_number"] for one in [*before, *rest]]
    assert numbers == list(range(len(numbers)))
    assert text_of(rest[-1]["response"]) == "Let me look.It rains."


async def test_a_whole_answer_that_waits_for_an_approval_is_refused(
    chat: httpx.AsyncClient, agent: str, model: ModelServer, neighbours: Neighbours
) -> None:
    neighbours.tools = [OWN | {"needs_approval": True}]
    model.scripted = [calls(ULM)] * 2

    answer = await chat.post(RESPONSES, json=asking(agent))
    behind = await created(chat, model=agent, background=True)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "chat.approval_needed")
    assert behind["status"] == "in_progress"
    assert (await chat.delete(f"{RESPONSES}/{behind['id']}")).status_code == 200
    assert (await chat.get(f"{RUNS}/{behind['run_id']}")).status_code == 404


async def test_one_whose_process_dies_has_failed(
    start_process: StartProcess, open_chat: OpenChat, person: User, model: ModelServer
) -> None:
    model.go_on.clear()
    async with start_process() as (process, client):
        id_ = (await created(client, background=True))["id"]
        await model.is_generating.wait()
        process.kill()
    async with open_chat() as other:
        other.headers.update(person.headers)
        following = asyncio.create_task(followed(other, id_))
        await has(other, id_, "failed")
        events = await following
        told = (await other.get(f"{RESPONSES}/{id_}")).json()

    assert (events[-1]["type"], events[-1]["response"]) == ("response.failed", told)
    assert told["error"]["code"] == "chat.interrupted"


async def test_a_client_that_leaves_before_the_answer_ends_it(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.go_on.clear()
    asked = asyncio.create_task(chat.post(RESPONSES, json=asking()))
    await model.is_generating.wait()

    asked.cancel()

    async with asyncio.timeout(PATIENCE_SECONDS):
        await model.was_left.wait()


async def test_a_stream_that_is_followed_and_cut_ends_nothing(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.go_on.clear()
    id_ = (await created(chat, background=True))["id"]
    async with chat.stream("GET", f"{RESPONSES}/{id_}", params={"stream": True}) as response:
        assert await id_in(response) == id_
    model.go_on.set()

    await has(chat, id_, "completed")


async def test_a_stream_with_a_key_is_told_again_to_whoever_comes_again(
    chat: httpx.AsyncClient, model: ModelServer
) -> None:
    model.go_on.clear()
    request: dict[str, Any] = {"json": asking(stream=True), "headers": {"Idempotency-Key": new_id()}}
    async with chat.stream("POST", RESPONSES, **request) as response:
        id_ = await id_in(response)
    model.go_on.set()

    async with chat.stream("POST", RESPONSES, **request) as response:
        events = await typed_of(response)

    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["id"] == id_
    assert len(model.asked) == 1


async def test_a_repetition_in_the_background_is_told_how_it_is_now(
    chat: httpx.AsyncClient, model: ModelServer
) -> None:
    request: dict[str, Any] = {"json": asking(background=True), "headers": {"Idempotency-Key": new_id()}}
    id_ = (await chat.post(RESPONSES, **request)).json()["id"]
    await has(chat, id_, "completed")

    again = (await chat.post(RESPONSES, **request)).json()

    assert (again["id"], again["status"]) == (id_, "completed")
    assert len(model.asked) == 1
