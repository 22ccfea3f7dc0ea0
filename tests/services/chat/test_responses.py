"""OpenAI's responses: made, streamed, read again, gone on from, cancelled and deleted."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.runs import launching
from services.chat.runs.logs import log_bytes
from services.chat.storage import Keys
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.chat.client import OpenChat, until
from tests.services.chat.responding import (
    ANSWER,
    QUESTION,
    RESPONSES,
    WEATHER,
    asking,
    created,
    followed,
    streamed,
    text_of,
)
from tests.services.chat.scripts import calls, refuses, says
from tests.services.chat.servers import ModelServer, Neighbours

RUNS = "/api/v1/chat/runs"
JSON = "application/json"
FORM = {
    "type": "json_schema",
    "name": "warranty",
    "schema": {"type": "object", "properties": {"months": {"type": "integer"}}, "required": ["months"]},
}


@pytest.fixture
async def other_chat(open_chat: OpenChat, person: User) -> AsyncIterator[httpx.AsyncClient]:
    """Another replica."""
    async with open_chat() as client:
        client.headers.update(person.headers)
        yield client


async def test_a_response_is_answered_and_read_again(chat: httpx.AsyncClient, model: ModelServer) -> None:
    told = await created(chat, metadata={"customer": "4711"}, temperature=0.5)

    run_id = told["run_id"]
    assert (told["id"], told["object"], told["status"]) == (f"resp_{run_id}", "response", "completed")
    [item] = told["output"]
    assert (item["type"], item["role"], item["status"]) == ("message", "assistant", "completed")
    assert item["content"] == [{"type": "output_text", "text": ANSWER, "annotations": [], "logprobs": []}]
    assert told["usage"] == {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 17,
        "is_estimated": False,
    }
    assert (told["metadata"], told["temperature"], told["tools"]) == ({"customer": "4711"}, 0.5, [])
    assert (await chat.get(f"{RESPONSES}/{told['id']}")).json() == told
    assert (await chat.get(f"{RUNS}/{run_id}")).json()["door"] == "responses"
    assert model.asked[0]["messages"] == [{"role": "user", "content": QUESTION}]
    assert model.asked[0]["temperature"] == 0.5
    assert "metadata" not in model.asked[0]


async def test_an_agent_answers_as_itself_with_what_it_knows(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer, neighbours: Neighbours
) -> None:
    told = await created(chat, model=agent_id, instructions="Be short.")

    [item] = told["output"]
    assert [one["record_id"] for one in item["citations"] if one["referenced"]] == ["r1"]
    assert [one["query"] for one in neighbours.searches] == [QUESTION]
    assert model.asked[0]["messages"][0]["content"].startswith("Answer in one sentence.\n\nBe short.\n\nUse only")
    assert told["model"] == agent_id


async def test_events_are_typed_and_numbered_in_order(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted.append(says("Of course.", thinking="Hm."))

    events = await streamed(chat, asking())

    assert [one["sequence_number"] for one in events] == list(range(len(events)))
    assert [one["type"].removeprefix("response.") for one in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [one["output_index"] for one in events if one["type"] == "response.output_item.added"] == [0, 1]
    last = events[-1]["response"]
    assert last["output"] == [one["item"] for one in events if one["type"] == "response.output_item.done"]
    assert last["output"][0]["content"] == [{"type": "reasoning_text", "text": "Hm."}]
    assert (await chat.get(f"{RESPONSES}/{last['id']}")).json() == last


async def test_a_stream_is_followed_again_from_any_number(
    chat: httpx.AsyncClient, other_chat: httpx.AsyncClient
) -> None:
    events = await streamed(chat, asking())
    id_ = events[0]["response"]["id"]

    assert await followed(other_chat, id_) == events
    assert await followed(other_chat, id_, starting_after=3) == events[4:]
    assert await followed(chat, id_, starting_after=len(events) - 1) == []


async def test_in_the_background_it_goes_on_and_is_followed_elsewhere(
    chat: httpx.AsyncClient, other_chat: httpx.AsyncClient, model: ModelServer
) -> None:
    model.go_on.clear()
    told = await created(chat, background=True)
    assert (told["status"], told["background"]) == ("in_progress", True)
    await model.is_generating.wait()

    following = asyncio.create_task(followed(other_chat, told["id"]))
    model.go_on.set()

    events = await following
    assert events[0]["type"] == "response.created"
    assert text_of(events[-1]["response"]) == ANSWER
    assert (await other_chat.get(f"{RESPONSES}/{told['id']}")).json() == events[-1]["response"]


async def test_it_is_gone_on_from_with_all_that_was_said(chat: httpx.AsyncClient, model: ModelServer) -> None:
    first = await created(chat, instructions="Be short.")
    second = await created(chat, input="And in days?", previous_response_id=first["id"])
    model.scripted.append(says("Yes."))
    third = await created(chat, input="Sure?", previous_response_id=second["id"])

    assert third["previous_response_id"] == second["id"]
    assert model.asked[2]["messages"] == [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "And in days?"},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "Sure?"},
    ]
    items = (await chat.get(f"{RESPONSES}/{third['id']}/input_items", params={"order": "asc", "limit": 3})).json()
    assert [one["content"][0]["text"] for one in items["data"]] == [QUESTION, ANSWER, "And in days?"]
    assert items["has_more"]
    rest = await chat.get(f"{RESPONSES}/{third['id']}/input_items", params={"order": "asc", "after": items["last_id"]})
    assert [one["content"][0]["text"] for one in rest.json()["data"]] == [ANSWER, "Sure?"]
    newest = (await chat.get(f"{RESPONSES}/{third['id']}/input_items")).json()["data"][0]
    assert newest["content"][0]["text"] == "Sure?"
    unknown = await chat.get(f"{RESPONSES}/{third['id']}/input_items", params={"after": f"msg_{new_id()}"})
    assert unknown.status_code == 404


async def test_what_went_on_from_one_that_is_deleted_has_all_of_it(chat: httpx.AsyncClient, model: ModelServer) -> None:
    first = await created(chat)
    second = await created(chat, input="And in days?", previous_response_id=first["id"])
    await chat.delete(f"{RESPONSES}/{first['id']}")

    await created(chat, input="Sure?", previous_response_id=second["id"])

    assert len(model.asked[2]["messages"]) == 5


async def test_calls_are_handed_out_and_their_results_taken(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted += [calls(("get_weather", {"city": "Ghent"}), ("get_weather", {"city": "Bruges"})), says("Rain.")]
    first = await created(chat, tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"})

    asked = [(one["type"], one["call_id"], one["name"], one["arguments"]) for one in first["output"]]
    assert asked == [
        ("function_call", "c0", "get_weather", '{"city": "Ghent"}'),
        ("function_call", "c1", "get_weather", '{"city": "Bruges"}'),
    ]
    assert model.asked[0]["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    assert first["tools"][0]["name"] == "get_weather"
    results = [{"type": "function_call_output", "call_id": id_, "output": "rain"} for id_ in ("c0", "c1")]
    second = await created(chat, input=results, previous_response_id=first["id"], tools=[WEATHER])

    assert text_of(second) == "Rain."
    roles = [(one["role"], one.get("tool_call_id")) for one in model.asked[1]["messages"]]
    assert roles == [("user", None), ("assistant", None), ("tool", "c0"), ("tool", "c1")]


async def test_calls_are_told_in_events(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted.append(calls(("get_weather", {"city": "Ghent"}), text="Let me look."))

    events = await streamed(chat, asking(tools=[WEATHER]))

    assert [one["item"]["type"] for one in events if one["type"].endswith("item.done")] == ["message", "function_call"]
    [done] = [one for one in events if one["type"] == "response.function_call_arguments.done"]
    assert (done["name"], orjson.loads(done["arguments"])) == ("get_weather", {"city": "Ghent"})


@pytest.mark.parametrize(
    ("items", "what"),
    [
        ([{"type": "function_call_output", "call_id": "c9", "output": "rain"}], "nobody has made"),
        ([{"role": "user", "content": "Hello."}], "before all calls"),
    ],
)
async def test_results_answer_the_calls_of_the_response_before(
    chat: httpx.AsyncClient, model: ModelServer, items: list[Any], what: str
) -> None:
    model.scripted.append(calls(("get_weather", {"city": "Ghent"})))
    first = await created(chat, tools=[WEATHER])

    refused = await chat.post(RESPONSES, json=asking(input=items, previous_response_id=first["id"], tools=[WEATHER]))

    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["code"]) == (400, "input", "chat.calls_unanswered")
    assert what in error["message"]


async def test_no_other_response_is_gone_on_from(
    chat: httpx.AsyncClient, person: User, register_user: RegisterUser, model: ModelServer
) -> None:
    stranger = await register_user()
    strange = (await chat.post(RESPONSES, json=asking(), headers=stranger.headers)).json()["id"]
    deleted = (await created(chat))["id"]
    await chat.delete(f"{RESPONSES}/{deleted}")
    unstored = (await created(chat, store=False))["id"]
    completion = {"model": "scripted", "messages": [{"role": "user", "content": "Hello."}]}
    run = (await chat.post("/api/v1/chat/completions", json=completion)).json()["run_id"]
    asked = len(model.asked)

    for id_ in (strange, deleted, unstored, f"resp_{run}", f"resp_{new_id()}"):
        refused = await chat.post(RESPONSES, json=asking(previous_response_id=id_))
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (404, "previous_response_id"), id_
        assert (await chat.get(f"{RESPONSES}/{id_}")).json()["error"]["code"] == "chat.response_not_found"
        assert (await chat.get(f"{RESPONSES}/{id_}", params={"stream": True})).status_code == 404
        assert (await chat.delete(f"{RESPONSES}/{id_}")).status_code == 404
        assert (await chat.post(f"{RESPONSES}/{id_}/cancel")).status_code == 404
        assert (await chat.get(f"{RESPONSES}/{id_}/input_items")).status_code == 404
    assert len(model.asked) == asked


async def test_one_that_is_under_way_is_not_gone_on_from(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.go_on.clear()
    first = await created(chat, background=True)

    refused = await chat.post(RESPONSES, json=asking(previous_response_id=first["id"]))

    model.go_on.set()
    assert refused.status_code == 400
    assert "in_progress" in refused.json()["error"]["message"]


async def test_it_is_cancelled_through_any_replica(
    chat: httpx.AsyncClient, other_chat: httpx.AsyncClient, model: ModelServer
) -> None:
    model.go_on.clear()
    told = await created(chat, background=True)
    await model.is_generating.wait()
    following = asyncio.create_task(followed(chat, told["id"]))

    cancelled = await other_chat.post(f"{RESPONSES}/{told['id']}/cancel")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await model.was_left.wait()
    last = (await following)[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "cancelled")
    again = await chat.post(f"{RESPONSES}/{told['id']}/cancel")
    assert again.json() == cancelled.json()


async def test_what_has_ended_is_not_cancelled(chat: httpx.AsyncClient) -> None:
    told = await created(chat)

    refused = await chat.post(f"{RESPONSES}/{told['id']}/cancel")

    assert refused.status_code == 409
    assert refused.headers["x-should-retry"] == "false"


async def test_one_that_is_deleted_is_gone_and_counts_no_more(
    chat: httpx.AsyncClient, person: User, model: ModelServer, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has been noted yet of what it used, which stays for whoever counts that."""
    monkeypatch.setattr(launching, "_NOTED_EVERY_SECONDS", PATIENCE_SECONDS)
    owner = Owner(person.tenant_id, person.user_id)
    async with open_redis(suite.url("redis")) as redis:
        before = await log_bytes(redis, owner)
        ended = await created(chat)
        model.go_on.clear()
        model.is_generating.clear()
        under_way = await created(chat, background=True)
        await model.is_generating.wait()

        for told in (ended, under_way):
            gone = await chat.delete(f"{RESPONSES}/{told['id']}")
            assert gone.json() == {"id": told["id"], "object": "response", "deleted": True}
            assert (await chat.get(f"{RESPONSES}/{told['id']}")).status_code == 404
            assert (await chat.get(f"{RUNS}/{told['run_id']}")).status_code == 404

        assert await log_bytes(redis, owner) == before
        assert [key async for key in redis.scan_iter(Keys(owner).run("*"))] == []
    async with asyncio.timeout(PATIENCE_SECONDS):
        await model.was_left.wait()


async def test_what_is_kept_of_a_request_is_counted(chat: httpx.AsyncClient, person: User, suite: Suite) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    async with open_redis(suite.url("redis")) as redis:
        before, _ = await log_bytes(redis, owner)
        await created(chat, store=False, instructions="x" * 8_000)
        unstored, _ = await log_bytes(redis, owner)
        await created(chat, instructions="x" * 8_000)
        stored, _ = await log_bytes(redis, owner)

    assert stored - unstored > unstored - before + 8_000


async def test_a_client_that_leaves_ends_it_unless_it_is_in_the_background(
    chat: httpx.AsyncClient, model: ModelServer
) -> None:
    model.go_on.clear()
    async with chat.stream("POST", RESPONSES, json=asking(stream=True)) as response:
        line = await anext(line async for line in response.aiter_lines() if line.startswith("data: "))
    id_ = orjson.loads(line.removeprefix("data: "))["response"]["id"]

    async def is_cancelled() -> bool:
        return str((await chat.get(f"{RESPONSES}/{id_}")).json()["status"]) == "cancelled"

    await until(is_cancelled)


async def test_a_stream_in_the_background_that_is_cut_goes_on(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.go_on.clear()
    async with chat.stream("POST", RESPONSES, json=asking(stream=True, background=True)) as response:
        line = await anext(line async for line in response.aiter_lines() if line.startswith("data: "))
    id_ = orjson.loads(line.removeprefix("data: "))["response"]["id"]
    await model.is_generating.wait()
    model.go_on.set()

    events = await followed(chat, id_, starting_after=0)

    assert (events[0]["sequence_number"], events[-1]["type"]) == (1, "response.completed")


async def test_a_repetition_with_its_key_is_the_same_response(chat: httpx.AsyncClient, model: ModelServer) -> None:
    request: dict[str, Any] = {"json": asking(), "headers": {"Idempotency-Key": new_id()}}

    first, second = await chat.post(RESPONSES, **request), await chat.post(RESPONSES, **request)

    assert first.json() == second.json()
    assert len(model.asked) == 1


async def test_a_form_is_kept_to_and_told_in_one_piece(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted += [says("Twenty-seven."), says('{"months": 27}')]

    events = await streamed(chat, asking(text={"format": FORM}))

    assert [one["delta"] for one in events if one["type"] == "response.output_text.delta"] == ['{"months": 27}']
    last = events[-1]["response"]
    assert orjson.loads(text_of(last)) == {"months": 27}
    assert last["text"]["format"] == FORM
    assert (await chat.get(f"{RESPONSES}/{last['id']}")).json() == last


async def test_an_answer_that_was_cut_is_incomplete(chat: httpx.AsyncClient, model: ModelServer) -> None:
    cut = [{"choices": [{"index": 0, "delta": {"content": "Twenty"}, "finish_reason": None}]}]
    model.scripted.append([*cut, {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}])

    told = await created(chat, max_output_tokens=2)

    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (told["output"][0]["status"], text_of(told)) == ("incomplete", "Twenty")
    assert told["max_output_tokens"] == 2


async def test_a_refusal_is_told_as_one(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted.append(refuses("I will not."))

    told = await created(chat)

    assert told["output"][0]["content"] == [{"type": "refusal", "refusal": "I will not."}]


async def test_a_failure_is_an_error_and_kept_as_one(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.refuses = [(401, {"error": {"message": "no"}}, {})] * 2

    refused = await chat.post(RESPONSES, json=asking())
    events = await streamed(chat, asking())

    code = refused.json()["error"]["code"]
    assert (refused.status_code, code) == (502, "chat.model_refused")
    last = events[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"]["code"] == code
    assert (await chat.get(f"{RESPONSES}/{last['response']['id']}")).json() == last["response"]


async def test_what_a_provider_does_not_take_is_named_as_the_caller_wrote_it(
    chat: httpx.AsyncClient, model: ModelServer
) -> None:
    model.refuses = [(400, {"error": {"message": "unknown", "param": "reasoning_effort"}}, {})]

    refused = await chat.post(RESPONSES, json=asking(reasoning={"effort": "low"}))

    assert model.asked[0]["reasoning_effort"] == "low"
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "reasoning.effort"


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"truncation": "auto"}, "truncation"),
        ({"include": ["reasoning.encrypted_content"]}, "include[0]"),
        ({"reasoning": {"summary": "auto"}}, "reasoning.summary"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tools": [{"type": "file_search"}]}, "tools[0]"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"], "name": "look"}]}, "tools[0]"),
        ({"input": [{"type": "computer_call", "id": "msg_1"}]}, "input[0].type"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
async def test_what_is_not_supported_is_refused_by_name(
    chat: httpx.AsyncClient, model: ModelServer, members: dict[str, Any], param: str
) -> None:
    refused = await chat.post(RESPONSES, json=asking(**members))

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param), refused.text
    assert model.asked == []


async def test_background_is_of_what_is_stored(chat: httpx.AsyncClient) -> None:
    refused = await chat.post(RESPONSES, json=asking(background=True, store=False))

    assert refused.status_code == 400
    assert "stored" in refused.json()["error"]["message"]


async def test_a_restart_loses_no_response(open_chat: OpenChat, person: User, chat: httpx.AsyncClient) -> None:
    async with open_chat() as before:
        before.headers.update(person.headers)
        first = await created(before)

    assert (await chat.get(f"{RESPONSES}/{first['id']}")).json() == first
    second = await created(chat, input="And in days?", previous_response_id=first["id"])
    assert second["status"] == "completed"


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [{"type": "\ud800"}]},
        {"input": [{"type": "\ud800"}]},
        {"input": [{"role": "user", "content": [{"type": "text", "text": "x", "\ud800": 1}]}]},
    ],
)
async def test_half_a_character_is_refused(chat: httpx.AsyncClient, members: dict[str, Any]) -> None:
    refused = await chat.post(RESPONSES, content=json.dumps(asking(**members)), headers={"Content-Type": JSON})

    assert refused.status_code == 400, refused.text
