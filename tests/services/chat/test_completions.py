"""Questions with their history, answered in OpenAI's shape."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.runs.logs import log_bytes
from services.chat.storage import Keys
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.chat.client import OpenChat, events_of
from tests.services.chat.completing import COMPLETIONS, QUESTION, RUNS, asking, deltas, joined, streamed
from tests.services.chat.scripts import refuses, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_budgets import until_settled

FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "warranty",
        "schema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {"months": {"type": "integer"}},
            "required": ["months"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
async def listing(open_chat: OpenChat, person: User, model: ModelServer) -> AsyncIterator[httpx.AsyncClient]:
    """One replica, whose provider says which models it has."""
    model.models = [{"id": "scripted"}, {"id": "support"}]
    async with open_chat() as client:
        client.headers.update(person.headers)
        yield client


async def test_a_model_is_asked_by_itself(chat: httpx.AsyncClient, model: ModelServer) -> None:
    answer = await chat.post(COMPLETIONS, json=asking())

    told = answer.raise_for_status().json()
    run_id = told["run_id"]
    assert told == {
        "id": f"chatcmpl-{run_id}",
        "object": "chat.completion",
        "created": told["created"],
        "model": "scripted",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "The warranty lasts 27 months [1].",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17},
        "run_id": run_id,
    }
    assert model.asked[0]["messages"] == [QUESTION]


async def test_an_agent_answers_as_itself_with_what_it_knows(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer, neighbours: Neighbours
) -> None:
    history = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "developer", "content": "Be polite."},
        QUESTION,
    ]

    answer = await chat.post(COMPLETIONS, json=asking(agent_id, *history))

    message = answer.raise_for_status().json()["choices"][0]["message"]
    assert [one["record_id"] for one in message["citations"] if one["referenced"]] == ["r1"]
    assert [one["query"] for one in neighbours.searches] == ["How long is the warranty?"]
    system, *rest = model.asked[0]["messages"]
    assert system["content"].startswith("Answer in one sentence.\n\nBe short.\n\nBe polite.\n\nUse only these sources")
    assert rest == [history[1], history[2], QUESTION]


async def test_an_agent_is_found_by_its_exact_name_before_a_model_is(listing: httpx.AsyncClient, agent_id: str) -> None:
    by_name = await listing.post(COMPLETIONS, json=asking("support"))
    by_another = await listing.post(COMPLETIONS, json=asking("Support"))

    assert by_name.json()["model"] == "support"
    run = (await listing.get(f"{RUNS}/{by_name.json()['run_id']}")).json()
    assert run["agent_id"] == agent_id
    assert (by_another.status_code, by_another.json()["error"]["code"]) == (404, "chat.model_not_found")


async def test_what_nobody_offers_is_not_found(listing: httpx.AsyncClient) -> None:
    for name in ("gpt-9", new_id()):
        answer = await listing.post(COMPLETIONS, json=asking(name))

        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["param"]) == (404, "not_found_error", "model")


async def test_a_provider_that_lists_nothing_is_asked_and_not_known_is_not_found(
    chat: httpx.AsyncClient, model: ModelServer
) -> None:
    model.refuses = [(404, {"error": {"code": "model_not_found", "message": "no"}}, {})]

    answer = await chat.post(COMPLETIONS, json=asking("gpt-9"))

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "chat.model_not_found")


async def test_it_is_a_run_of_no_conversation(
    chat: httpx.AsyncClient, agent_id: str, person: User, suite: Suite
) -> None:
    told = (await chat.post(COMPLETIONS, json=asking(agent_id))).json()

    run = (await chat.get(f"{RUNS}/{told['run_id']}")).json()
    async with chat.stream("GET", f"{RUNS}/{told['run_id']}/events") as response:
        events = [event.type async for event in events_of(response)]
    listed = (await chat.get("/api/v1/chat/conversations")).json()["items"]
    found = (await chat.get("/api/v1/chat/conversations", params={"q": "warranty"})).json()["items"]
    read = await chat.get(f"/api/v1/chat/conversations/{run['conversation_id']}")
    used = (await chat.get("/api/v1/chat/usage")).json()
    assert (run["state"], run["door"], run["usage"]["total_tokens"]) == ("completed", "completions", 17)
    assert (events[0], events[-1]) == ("run.started", "run.completed")
    assert (listed, found, read.status_code) == ([], [], 404)
    assert (used["rows"][0]["runs"], used["rows"][0]["prompt_tokens"]) == (1, 12)
    async with open_redis(suite.url("redis")) as redis:
        keys = Keys(Owner(person.tenant_id, person.user_id))
        assert not await redis.exists(keys.conversations, keys.conversation(run["conversation_id"]))
        for key in (keys.run(told["run_id"]), keys.events(told["run_id"])):
            assert 0 < await redis.ttl(key) <= 90_000


async def test_what_it_holds_is_counted(chat: httpx.AsyncClient, person: User, suite: Suite) -> None:
    long = {"role": "user", "content": "word " * 1_000}

    (await chat.post(COMPLETIONS, json=asking("scripted", long))).raise_for_status()

    async with open_redis(suite.url("redis")) as redis:
        own, _ = await log_bytes(redis, Owner(person.tenant_id, person.user_id))
    assert own > 5_000


async def test_a_message_of_a_conversation_comes_by_its_own_door(chat: httpx.AsyncClient, agent_id: str) -> None:
    told = (await chat.post("/api/v1/chat/message", json={"agent_id": agent_id, "content": "Hello."})).json()

    assert (await chat.get(f"{RUNS}/{told['run_id']}")).json()["door"] == "chat"


async def test_it_streams_chunks_with_its_usage_last(chat: httpx.AsyncClient, agent_id: str) -> None:
    chunks = await streamed(chat, asking(agent_id, stream_options={"include_usage": True}))

    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert joined(chunks) == "The warranty lasts 27 months [1]."
    assert chunks[-1] == "[DONE]"
    assert (chunks[-2]["choices"], chunks[-2]["usage"]["total_tokens"]) == ([], 17)
    assert chunks[-3]["choices"][0]["finish_reason"] == "stop"
    assert {chunk["usage"] for chunk in chunks[:-2]} == {None}
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks[:-1]}) == 1
    assert [one["record_id"] for one in deltas(chunks, "citations")[0]] == ["r1", "r2"]


async def test_a_stream_tells_no_usage_unless_asked(chat: httpx.AsyncClient) -> None:
    chunks = await streamed(chat, asking())

    assert all("usage" not in chunk for chunk in chunks[:-1])


async def test_thoughts_are_told_apart(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted = [says("27.", thinking="Months, then.")] * 2

    whole = (await chat.post(COMPLETIONS, json=asking())).json()
    chunks = await streamed(chat, asking())

    assert whole["choices"][0]["message"]["reasoning_content"] == "Months, then."
    assert (deltas(chunks, "reasoning_content"), joined(chunks)) == (["Months, then."], "27.")


async def test_a_refusal_is_told_as_one(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted = [refuses("No."), refuses("No.")]

    whole = (await chat.post(COMPLETIONS, json=asking())).json()["choices"][0]
    chunks = await streamed(chat, asking())

    assert (whole["message"]["refusal"], whole["message"]["content"]) == ("No.", None)
    assert (deltas(chunks, "refusal"), whole["finish_reason"]) == (["No."], "stop")


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_that_was_cut_says_so_even_when_nothing_is_left_of_it(
    chat: httpx.AsyncClient, model: ModelServer, reason: str
) -> None:
    model.scripted = [[{"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}]]

    answer = await chat.post(COMPLETIONS, json=asking())

    choice = answer.raise_for_status().json()["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == (reason, "")


async def test_what_the_provider_does_not_count_is_estimated_and_says_so(
    chat: httpx.AsyncClient, model: ModelServer
) -> None:
    model.usage = None

    usage = (await chat.post(COMPLETIONS, json=asking())).json()["usage"]

    assert usage["is_estimated"] is True
    assert usage["prompt_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_options_reach_the_provider_as_they_are(chat: httpx.AsyncClient, model: ModelServer) -> None:
    options: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["END", "FIN"],
        "frequency_penalty": 0.1,
        "presence_penalty": -0.1,
        "user": "somebody",
        "metadata": {"team": "finance"},
    }

    answer = await chat.post(COMPLETIONS, json=asking(max_completion_tokens=5, **options))

    assert answer.status_code == 200
    asked = model.asked[0]
    assert {name: asked[name] for name in options} == options
    assert asked["max_tokens"] == 5


async def test_an_option_that_the_provider_refuses_is_named_and_not_left_out(
    chat: httpx.AsyncClient, model: ModelServer
) -> None:
    refusal = {"error": {"message": "Unsupported parameter: 'temperature'.", "param": "temperature"}}
    model.refuses = [(400, refusal, {})]

    answer = await chat.post(COMPLETIONS, json=asking(temperature=0.5, seed=1))

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "chat.option_refused", "temperature")


async def test_an_answer_has_the_form_that_was_asked_for(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted = [says("27 months"), says('{"months": 27}')] * 2

    whole = (await chat.post(COMPLETIONS, json=asking(response_format=FORM))).json()
    chunks = await streamed(chat, asking(response_format=FORM))

    assert whole["choices"][0]["message"]["content"] == '{"months": 27}'
    assert joined(chunks) == '{"months": 27}'  # and nothing of the first try
    demanded = model.asked[0]["response_format"]["json_schema"]
    assert (demanded["name"], demanded["schema"]["required"]) == ("warranty", ["months"])


async def test_an_answer_is_any_json_object(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted = [says("[1]"), says('{"a": 1}')]

    answer = await chat.post(COMPLETIONS, json=asking(response_format={"type": "json_object"}))

    assert answer.json()["choices"][0]["message"]["content"] == '{"a": 1}'


async def test_an_error_before_anything_was_said_is_an_answer_with_its_status(
    chat: httpx.AsyncClient, model: ModelServer
) -> None:
    model.refuses = [(401, {}, {}), (401, {}, {})]

    for stream in (False, True):
        answer = await chat.post(COMPLETIONS, json=asking(stream=stream))

        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "chat.model_refused")


async def test_an_agent_that_goes_while_it_is_asked_is_not_found(
    chat: httpx.AsyncClient, agent_id: str, neighbours: Neighbours
) -> None:
    neighbours.agents[agent_id]["tools"] = ["weather"]
    neighbours.tools_problem = (404, "agents.not_found")

    for stream in (False, True):
        answer = await chat.post(COMPLETIONS, json=asking(agent_id, stream=stream))

        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "chat.agent_not_found")


async def test_an_error_in_the_middle_is_told_in_the_stream(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.breaks_after = 1

    chunks = await streamed(chat, asking())

    assert joined(chunks) == "The warranty"
    assert (chunks[-1]["error"]["code"], chunks[-1]["error"]["type"]) == ("chat.model_unavailable", "server_error")


async def test_a_history_that_is_too_long_is_refused_and_nothing_is_left_out(
    open_chat: OpenChat, person: User, model: ModelServer
) -> None:
    async with open_chat(prompt_tokens=300) as chat:
        chat.headers.update(person.headers)
        long = [{"role": "user", "content": "word " * 2_000}, {"role": "assistant", "content": "Yes."}, QUESTION]

        answer = await chat.post(COMPLETIONS, json=asking("scripted", *long))

        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "chat.prompt_too_long", "messages")
        assert model.asked == []


async def test_a_window_that_the_provider_finds_too_small_is_the_callers_to_know(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    exceeded: tuple[int, dict[str, Any], dict[str, str]]
    exceeded = (400, {"error": {"code": "context_length_exceeded", "message": ""}}, {})
    model.refuses = [exceeded, exceeded, exceeded]

    of_model = await chat.post(COMPLETIONS, json=asking())
    of_agent = await chat.post(COMPLETIONS, json=asking(agent_id))

    assert [one.status_code for one in (of_model, of_agent)] == [400, 400]
    assert of_agent.json()["error"]["code"] == "chat.prompt_too_long"
    assert "sources" in model.asked[1]["messages"][0]["content"]
    assert "sources" not in model.asked[2]["messages"][0]["content"]  # once more without what was found


async def test_a_repetition_is_given_the_same_answer(chat: httpx.AsyncClient, model: ModelServer) -> None:
    key = {"Idempotency-Key": new_id()}

    first = await chat.post(COMPLETIONS, json=asking(), headers=key)
    again = await chat.post(COMPLETIONS, json=asking(), headers=key)
    other = await chat.post(COMPLETIONS, json=asking(seed=1), headers=key)

    assert again.json()["choices"] == first.json()["choices"]
    assert (again.json()["run_id"], again.headers["Idempotency-Replayed"]) == (first.json()["run_id"], "true")
    assert len(model.asked) == 1
    assert (other.status_code, other.json()["error"]["code"]) == (400, "common.idempotency_key_reused")


async def test_a_repetition_on_another_replica_streams_the_same(
    open_chat: OpenChat, person: User, model: ModelServer
) -> None:
    async with open_chat() as one, open_chat() as other:
        headers = person.headers | {"Idempotency-Key": new_id()}
        one.headers.update(headers)
        other.headers.update(headers)

        first, again = await streamed(one, asking()), await streamed(other, asking())

        assert (joined(first), first[0]["id"]) == (joined(again), again[0]["id"])
        assert len(model.asked) == 1


async def test_tokens_that_are_used_up_are_429(open_chat: OpenChat, person: User, suite: Suite) -> None:
    async with open_chat(tokens_per_day_user=30) as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)

        first = await chat.post(COMPLETIONS, json=asking(max_tokens=10))
        await until_settled(redis, person)
        second = await chat.post(COMPLETIONS, json=asking(max_tokens=10))

        error = second.json()["error"]
        assert first.status_code == 200
        assert (second.status_code, error["code"], error["type"]) == (429, "chat.tokens_used_up", "rate_limit_error")
        assert int(second.headers["x-ratelimit-remaining-tokens"]) == 13


async def test_a_run_is_nobody_elses(chat: httpx.AsyncClient, register_user: RegisterUser) -> None:
    told = (await chat.post(COMPLETIONS, json=asking())).json()
    other = await register_user()

    assert (await chat.get(f"{RUNS}/{told['run_id']}", headers=other.headers)).status_code == 404


async def test_models_are_agents_by_name_and_what_providers_list(listing: httpx.AsyncClient, agent_id: str) -> None:
    listed = (await listing.get("/api/v1/models")).json()
    agent, other = (await listing.get("/api/v1/models/support")).json(), await listing.get("/api/v1/models/scripted")
    missing = await listing.get("/api/v1/models/gpt-9")

    assert [(one["id"], one["owned_by"], one["agent_id"]) for one in listed["data"]] == [
        ("support", "agents", agent_id),
        ("scripted", "default", None),
    ]
    assert (listed["object"], listed["has_more"], agent["agent_id"]) == ("list", False, agent_id)
    assert (other.json()["owned_by"], missing.status_code) == ("default", 404)


async def test_without_the_scope_there_are_no_agents(
    open_chat: OpenChat, register_user: RegisterUser, agent_id: str, model: ModelServer
) -> None:
    model.models = [{"id": "scripted"}]
    person = await register_user(scope="chat:read chat:write")
    async with open_chat() as chat:
        chat.headers.update(person.headers)

        listed = (await chat.get("/api/v1/models")).json()
        answer = await chat.post(COMPLETIONS, json=asking("support"))

        assert [one["id"] for one in listed["data"]] == ["scripted"]
        assert answer.status_code == 404


async def test_an_answer_that_is_held_back_is_told_by_heartbeats(
    open_chat: OpenChat, person: User, model: ModelServer
) -> None:
    model.is_silent = True
    async with open_chat(heartbeat_seconds=0.1) as chat:
        chat.headers.update(person.headers)
        body: dict[str, Any] = asking(stream=True)

        async with chat.stream("POST", COMPLETIONS, json=body) as response:
            first = await anext(response.aiter_lines())

        assert (response.status_code, first) == (200, ": still here")
