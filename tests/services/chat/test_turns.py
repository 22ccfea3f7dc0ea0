"""A message and its answer."""

import httpx
import pytest

from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.chat.client import OpenChat
from tests.services.chat.servers import ModelServer, Neighbours

MESSAGE = "/api/v1/chat/message"


async def test_an_answer_carries_the_passages_it_was_made_from(chat: httpx.AsyncClient, agent_id: str) -> None:
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "How long is the warranty?"})

    body = answer.json()
    assert answer.status_code == 200
    assert body["message"]["content"] == "The warranty lasts 27 months [1]."
    assert [(c["number"], c["record_id"], c["referenced"]) for c in body["message"]["citations"]] == [
        (1, "r1", True),
        (2, "r2", False),
    ]
    assert body["usage"] == {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
    assert (body["finish_reason"], body["warnings"]) == ("stop", [])


async def test_the_model_reads_instructions_sources_earlier_turns_and_the_message(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    first = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "How long is the warranty?"})
    conversation = {"conversation_id": first.json()["conversation_id"]}

    await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "And its weight?"} | conversation)

    system, *turns = model.asked[-1]["messages"]
    assert system["content"].startswith("Answer in one sentence.")
    assert "[1]\n> The warranty of the Falcon lasts 27 months." in system["content"]
    assert [turn["content"] for turn in turns] == [
        "How long is the warranty?",
        "The warranty lasts 27 months [1].",
        "And its weight?",
    ]
    assert model.asked[-1]["stream_options"] == {"include_usage": True}


async def test_the_agents_own_model_is_asked(
    chat: httpx.AsyncClient, agent_id: str, neighbours: Neighbours, model: ModelServer
) -> None:
    neighbours.agents[agent_id]["model"] = "big-one"

    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"})

    assert (model.asked[-1]["model"], answer.json()["model"]) == ("big-one", "big-one")


async def test_a_missing_collection_is_an_empty_one_and_said_so(
    chat: httpx.AsyncClient, agent_id: str, neighbours: Neighbours
) -> None:
    neighbours.agents[agent_id]["knowledge"] = ["handbook", "not-yet"]

    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "How long is the warranty?"})

    assert len(answer.json()["message"]["citations"]) == 2
    assert [(w["collection"], w["code"]) for w in answer.json()["warnings"]] == [
        ("not-yet", "vectors.collection_not_found")
    ]


async def test_an_unknown_agent_is_named(chat: httpx.AsyncClient) -> None:
    unknown = new_id()

    answer = await chat.post(MESSAGE, json={"agent_id": unknown, "content": "Hello"})

    assert (answer.status_code, answer.json()["code"]) == (404, "chat.agent_not_found")
    assert unknown in answer.json()["detail"]


async def test_an_unknown_conversation_is_not_begun(chat: httpx.AsyncClient, agent_id: str) -> None:
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello", "conversation_id": new_id()})

    assert (answer.status_code, answer.json()["code"]) == (404, "chat.conversation_not_found")


async def test_a_conversation_stays_with_its_agent(
    chat: httpx.AsyncClient, agent_id: str, neighbours: Neighbours
) -> None:
    first = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"})
    other = new_id()
    neighbours.agents[other] = neighbours.agents[agent_id] | {"id": other}
    body = {"agent_id": other, "content": "Hello", "conversation_id": first.json()["conversation_id"]}

    answer = await chat.post(MESSAGE, json=body)

    assert (answer.status_code, answer.json()["code"]) == (409, "chat.conversation_of_other_agent")


async def test_one_message_at_a_time_in_a_conversation(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    first = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"})
    body = {"agent_id": agent_id, "content": "Again", "conversation_id": first.json()["conversation_id"]}
    model.go_on.clear()
    model.is_generating.clear()

    async with chat.stream("POST", MESSAGE, json=body | {"stream": True}) as stream:
        await model.is_generating.wait()
        refused = await chat.post(MESSAGE, json=body)
        model.go_on.set()
        await stream.aread()
    accepted = await chat.post(MESSAGE, json=body)

    assert (refused.status_code, refused.json()["code"]) == (409, "chat.run_active")
    assert refused.headers["retry-after"] == "1"
    assert accepted.status_code == 200


async def test_a_message_longer_than_the_prompt_is_refused_before_it_is_kept(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "1 2 3 4 5 6 7 8 9 " * 1000})

    assert (answer.status_code, answer.json()["code"]) == (422, "chat.message_too_long")
    assert answer.json()["errors"][0]["pointer"] == "/content"
    assert not model.asked
    assert (await chat.get("/api/v1/chat/conversations")).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"content": ""}, "/content"),
        ({"content": " \n"}, "/content"),
        ({"content": "x" * 32_769}, "/content"),
        ({"content": "a\x00b"}, "/content"),
        ({"agent_id": "no-id"}, "/agent_id"),
        ({"stream": "yes"}, "/stream"),
        ({"surprise": 1}, "/surprise"),
    ],
)
async def test_bad_input_is_pointed_at(
    chat: httpx.AsyncClient, agent_id: str, change: dict[str, object], pointer: str
) -> None:
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"} | change)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_caller_needs_a_token_and_the_scope(
    open_chat: OpenChat, agent_id: str, register_user: RegisterUser
) -> None:
    reader = await register_user(scope="chat:read")

    async with open_chat() as client:
        nobody = await client.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"})
        forbidden = await client.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello"}, headers=reader.headers)

    assert (nobody.status_code, forbidden.status_code) == (401, 403)


async def test_more_turns_than_allowed_are_shed(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, register_user: RegisterUser
) -> None:
    neighbour = await register_user()
    model.go_on.clear()
    body = {"agent_id": agent_id, "content": "Hello", "stream": True}

    async with (
        open_chat(max_runs=1) as client,
        client.stream("POST", MESSAGE, json=body, headers=person.headers) as stream,
    ):
        await model.is_generating.wait()
        more = await client.post(MESSAGE, json=body, headers=person.headers)
        shed = await client.post(MESSAGE, json=body, headers=neighbour.headers)
        model.go_on.set()
        await stream.aread()

    assert (more.status_code, more.json()["code"]) == (429, "common.share_taken")
    assert (shed.status_code, shed.json()["code"]) == (503, "chat.overloaded")
    assert int(shed.headers["retry-after"]) > 0


async def test_the_same_key_gets_the_same_answer(chat: httpx.AsyncClient, agent_id: str, model: ModelServer) -> None:
    headers = {"Idempotency-Key": new_id()}
    body = {"agent_id": agent_id, "content": "Hello"}

    first = await chat.post(MESSAGE, json=body, headers=headers)
    second = await chat.post(MESSAGE, json=body, headers=headers)

    assert second.headers["idempotency-replayed"] == "true"
    assert second.json() == first.json()
    assert len(model.asked) == 1
