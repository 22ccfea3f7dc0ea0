"""Messages that wait for their turn in a conversation, and are answered."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.storage import QUEUED, Keys
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.chat.client import OpenChat, ServerEvent, events_of, until
from tests.services.chat.queueing import CONVERSATIONS, MESSAGE, RUNS, Body, Conversation, busy, waiting
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_tools import WEATHER


async def test_messages_wait_and_are_answered_one_after_the_other(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    async with (
        busy(chat, agent_id, model) as conversation,
        waiting(chat, conversation.message("two")) as (two, rest_of_two),
        waiting(chat, conversation.message("three")) as (three, rest_of_three),
    ):
        states = [await conversation.state_of(event.data["run_id"]) for event in (two, three)]
        before = await conversation.contents()
        model.go_on.set()
        first = await conversation.rest()
        others = [[event async for event in rest] for rest in (rest_of_two, rest_of_three)]
        after = await conversation.contents()
        ended = [await conversation.state_of(event.data["run_id"]) for event in (two, three)]

    assert [(event.id, event.type, event.data["position"]) for event in (two, three)] == [
        (1, "run.queued", 1),
        (1, "run.queued", 2),
    ]
    assert (states, ended) == (["queued", "queued"], ["completed", "completed"])
    assert (before, after) == (["one"], ["one", "two", "three"])
    assert first[-1].type == "run.completed"
    for rest, event in zip(others, (two, three), strict=True):
        assert (rest[0].id, rest[0].type, rest[-1].type) == (2, "run.started", "run.completed")
        assert [one.id for one in rest] == list(range(2, len(rest) + 2))
        assert rest[0].data["message"] == event.data["message"]
    said = [[message["content"] for message in asked["messages"]][1:] for asked in model.asked]
    answer = "".join(model.pieces)
    assert [len(one) for one in said] == [1, 3, 5]
    assert said[2][:4:2] == ["one", "two"]
    assert said[2][1:4:2] == [answer, answer]


async def test_a_message_to_a_free_conversation_begins_at_once(chat: httpx.AsyncClient, agent_id: str) -> None:
    body: Body = {"agent_id": agent_id, "content": "one", "on_busy": "enqueue"}
    first = await chat.post(MESSAGE, json=body)
    again = body | {"conversation_id": first.json()["conversation_id"], "stream": True}

    async with waiting(chat, again) as (event, _):
        pass

    assert first.status_code == 200
    assert event.type == "run.started"


async def test_whoever_wants_the_whole_answer_waits_for_it_and_a_repetition_has_the_same(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User
) -> None:
    headers = {"Idempotency-Key": new_id()}
    async with open_chat() as one, open_chat() as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        async with busy(one, agent_id, model) as conversation:
            body = conversation.message("two", stream=False)
            asking = asyncio.create_task(other.post(MESSAGE, json=body, headers=headers))
            async with waiting(one, conversation.message("three")) as (last, rest):
                await until(lambda: _is_in_queue(conversation, last))
                repeated = asyncio.create_task(one.post(MESSAGE, json=body, headers=headers))
                model.go_on.set()
                answers = [await asking, await repeated]
                assert [event async for event in rest][-1].type == "run.completed"
            contents = await conversation.contents()

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert sorted(contents) == ["one", "three", "two"]
    assert len(model.asked) == 3


async def _is_in_queue(conversation: Conversation, event: ServerEvent) -> bool:
    return await conversation.state_of(event.data["run_id"]) == "queued"


async def test_nobody_comes_before_those_who_wait(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, suite: Suite
) -> None:
    """Not even where nothing is answered just now."""
    keys = Keys(Owner(person.tenant_id, person.user_id))
    async with open_chat() as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        first = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "one"})
        conversation_id = first.json()["conversation_id"]
        await redis.rpush(keys.queue(conversation_id), new_id())
        body = {"agent_id": agent_id, "content": "two", "conversation_id": conversation_id}
        refused = await chat.post(MESSAGE, json=body)
        anew = await chat.post(f"{CONVERSATIONS}/{conversation_id}/regenerate", json={})

    assert [answer.json()["code"] for answer in (refused, anew)] == ["chat.run_active"] * 2


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
async def test_the_next_begins_however_the_one_before_has_ended(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer, how: str
) -> None:
    model.breaks_after = 1 if how == "fails" else None
    async with busy(chat, agent_id, model) as conversation, waiting(chat, conversation.message("two")) as (_, rest):
        if how == "is cancelled":
            await chat.post(f"{RUNS}/{conversation.first.data['run_id']}/cancel")
        model.go_on.set()
        first = await conversation.rest()
        model.breaks_after = None
        started = await anext(rest)
        [event async for event in rest]
        contents = await conversation.contents()

    assert first[-1].type == ("run.failed" if how == "fails" else "run.cancelled")
    assert started.type == "run.started"
    assert contents == ["one", "two"]


async def test_fifty_at_once_on_two_replicas_are_answered_one_at_a_time(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User
) -> None:
    async with open_chat(max_runs=512, max_queued=40) as one, open_chat(max_runs=512, max_queued=40) as other:
        headers = person.headers | {"Connection": "close"}  # those that idle are closed by the server meanwhile
        one.headers.update(headers)
        other.headers.update(headers)
        begun = await one.post(MESSAGE, json={"agent_id": agent_id, "content": "first"})
        body: Body = {
            "agent_id": agent_id,
            "conversation_id": begun.json()["conversation_id"],
            "on_busy": "enqueue",
            "stream": True,
        }

        async def told(number: int) -> list[ServerEvent]:
            client = (one, other)[number % 2]
            async with client.stream("POST", MESSAGE, json=body | {"content": str(number)}, timeout=60) as response:
                if response.status_code == 409:
                    return []
                return [event async for event in events_of(response)]

        everybody = await asyncio.gather(*[told(number) for number in range(50)])
        page = await one.get(f"{CONVERSATIONS}/{body['conversation_id']}/messages", params={"limit": 100})

    answered = [events for events in everybody if events]
    assert len(answered) >= 40
    assert {events[-1].type for events in answered} == {"run.completed"}
    roles = [message["role"] for message in page.json()["items"]]
    assert roles == ["user", "assistant"] * (len(answered) + 1)
    assert len(model.asked) == len(answered) + 1


async def test_what_was_answered_before_lies_in_redis_until_its_turn_though_the_hold_ran_out(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer, suite: Suite, person: User
) -> None:
    """As after a Redis that stood still: whoever holds the message says so again before it is given up."""
    keys = Keys(Owner(person.tenant_id, person.user_id))
    async with (
        busy(chat, agent_id, model) as conversation,
        waiting(chat, conversation.message("two")) as (two, rest),
        open_redis(suite.url("redis")) as redis,
    ):
        hold, lease = keys.hold(two.data["run_id"]), keys.lease(conversation.id)
        await redis.delete(hold, lease)

        async def is_held() -> bool:
            return await redis.exists(hold, lease) == 2

        await until(is_held)
        states = [await conversation.state_of(run) for run in (conversation.first.data["run_id"], two.data["run_id"])]
        model.go_on.set()
        ends = [(await conversation.rest())[-1].type, [event async for event in rest][-1].type]

    assert states == ["running", "queued"]
    assert ends == ["run.completed"] * 2


async def test_what_was_noted_is_forgotten_when_it_waits_no_longer(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, suite: Suite
) -> None:
    async with AsyncExitStack() as stack:
        chat = await stack.enter_async_context(open_chat(run_lease_seconds=1))
        redis = await stack.enter_async_context(open_redis(suite.url("redis")))
        chat.headers.update(person.headers)
        async with busy(chat, agent_id, model) as conversation, waiting(chat, conversation.message("two")) as (_, rest):
            queued: Any = await redis.zrange(QUEUED, 0, -1)
            noted = [member for member in queued if conversation.id.encode() in member]
            model.go_on.set()
            [event async for event in rest]

        async def is_forgotten() -> bool:
            return await redis.zscore(QUEUED, noted[0]) is None

        await until(is_forgotten)

    assert len(noted) == 1


async def test_a_run_that_waits_for_an_approval_is_waited_for(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer, neighbours: Neighbours
) -> None:
    neighbours.agents[agent_id]["tools"] = ["pay"]
    neighbours.tools = [WEATHER | {"name": "pay", "needs_approval": True}]
    neighbours.tool_results = {"pay": {"content": "Paid."}}
    model.scripted = [calls(("pay", {"city": "Ulm"})), says("It is paid."), says("You are welcome.")]
    lying = (await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Pay."})).json()
    body: Body = {"agent_id": agent_id, "content": "Thanks.", "conversation_id": lying["conversation_id"]}
    body |= {"stream": True, "on_busy": "enqueue"}
    async with waiting(chat, body) as (event, rest):
        approved = await chat.post(f"{RUNS}/{lying['run_id']}/approvals/call00001", json={"approve": True})
        told = [one async for one in rest]
    page = (await chat.get(f"{CONVERSATIONS}/{lying['conversation_id']}/messages")).json()["items"]

    assert (event.type, approved.status_code, told[-1].type) == ("run.queued", 200, "run.completed")
    assert [message["content"] for message in page] == ["Pay.", "It is paid.", "Thanks.", "You are welcome."]


async def test_messages_that_wait_keep_nobody_from_being_answered(
    open_chat: OpenChat, register_user: RegisterUser, agent_id: str, model: ModelServer, person: User
) -> None:
    """They have places of their own, of which a user has a share too."""
    neighbour = await register_user()
    async with open_chat(max_runs=8, max_waiting=64) as chat, AsyncExitStack() as stack:
        chat.headers.update(person.headers)
        both = [await stack.enter_async_context(busy(chat, agent_id, model)) for _ in range(2)]
        wait = [
            await stack.enter_async_context(waiting(chat, conversation.message(str(number))))
            for conversation in both
            for number in range(8)
        ]
        too_many = await chat.post(MESSAGE, json=both[0].message("one too many", stream=False))
        body: Body = {"agent_id": agent_id, "content": "Hello", "stream": True}
        beside, told = await stack.enter_async_context(waiting(chat, body, neighbour.headers))
        model.go_on.set()
        ended = [[event async for event in rest][-1].type for rest in (*[rest for _, rest in wait], told)]
        for conversation in both:
            await conversation.rest()

    assert {queued.type for queued, _ in wait} == {"run.queued"}
    assert (too_many.status_code, too_many.json()["code"]) == (429, "common.share_taken")
    assert "waiting messages" in too_many.json()["detail"]
    assert beside.type == "run.started"
    assert set(ended) == {"run.completed"}


async def test_an_empty_conversation_has_its_title_from_a_message_that_waited(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User
) -> None:
    async with open_chat(max_runs=8) as chat:
        chat.headers.update(person.headers)
        empty = (await chat.post("/api/v1/conversations", json={})).json()["id"].removeprefix("conv_")
        body: Body = {"agent_id": agent_id, "content": "Hello there", "conversation_id": empty, "stream": True}
        async with busy(chat, agent_id, model) as one, busy(chat, agent_id, model) as other:
            async with waiting(chat, body | {"on_busy": "enqueue"}) as (queued, rest):
                model.go_on.set()
                last = [event async for event in rest][-1]
            await one.rest()
            await other.rest()
        kept = (await chat.get(f"{CONVERSATIONS}/{empty}")).json()
        found = (await chat.get(CONVERSATIONS, params={"q": "there"})).json()["items"]

    assert (queued.type, last.type) == ("run.queued", "run.completed")
    assert (kept["title"], kept["agent_id"], [one["id"] for one in found]) == ("Hello there", agent_id, [empty])


async def test_a_turn_that_has_come_waits_for_a_place_too(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User
) -> None:
    """Whoever has as many answers under way as may be may have a message wait, be its conversation busy or not."""
    async with open_chat(max_runs=8) as chat:
        chat.headers.update(person.headers)
        free = (await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "one"})).json()["conversation_id"]
        body: Body = {"agent_id": agent_id, "content": "two", "conversation_id": free, "stream": True}
        async with busy(chat, agent_id, model) as one, busy(chat, agent_id, model) as other:
            refused = await chat.post(MESSAGE, json=body)
            async with waiting(chat, body | {"on_busy": "enqueue"}) as (queued, rest):
                state = await one.state_of(queued.data["run_id"])
                model.go_on.set()
                told = [event async for event in rest]
            await one.rest()
            await other.rest()

    assert refused.json()["code"] == "common.share_taken"
    assert (queued.type, state) == ("run.queued", "queued")
    assert (told[0].type, told[-1].type) == ("run.started", "run.completed")
