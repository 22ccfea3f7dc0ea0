"""Messages that wait for their turn, and how that ends without it."""

from typing import Any

import httpx
import pytest
from redis.asyncio.connection import AbstractConnection

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.domain import Agent, Message, Owner, Turn
from services.chat.runs.journal import Journal
from services.chat.runs.live import LiveRun
from services.chat.runs.queue import QueueRepository
from services.chat.storage import QUEUED, Keys, running_member
from services.chat.times import now
from shared.errors import Unavailable
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, events_of, until
from tests.services.chat.queueing import CONVERSATIONS, MESSAGE, RUNS, busy, waiting
from tests.services.chat.servers import ModelServer


@pytest.mark.parametrize("where", ["here", "elsewhere"])
async def test_a_run_that_waits_can_be_cancelled_and_the_others_go_on(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User, where: str
) -> None:
    async with open_chat() as one, open_chat() as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        asked = one if where == "here" else other
        async with (
            busy(one, agent_id, model) as conversation,
            waiting(one, conversation.message("two")) as (two, rest_of_two),
            waiting(one, conversation.message("three")) as (_, rest_of_three),
        ):
            address = f"{RUNS}/{two.data['run_id']}"
            cancelled = await asked.post(f"{address}/cancel")
            told = [event async for event in rest_of_two]
            again = await asked.post(f"{address}/cancel")
            model.go_on.set()
            others = [event async for event in rest_of_three]
            async with other.stream("GET", f"{address}/events") as response:
                stored = [event async for event in events_of(response)]
            contents = await conversation.contents()

    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert again.json() == cancelled.json()
    assert [event.type for event in told] == ["run.cancelled"]
    assert stored == [two, *told]
    assert others[-1].type == "run.completed"
    assert contents == ["one", "three"]


async def test_whoever_interrupts_ends_those_who_wait_too(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    async with (
        busy(chat, agent_id, model) as conversation,
        waiting(chat, conversation.message("two")) as (_, rest),
        waiting(chat, conversation.message("three", on_busy="interrupt")) as (third, rest_of_three),
    ):
        ends = [(await conversation.rest())[-1], [event async for event in rest][-1]]
        model.go_on.set()
        last = [event async for event in rest_of_three][-1]
        contents = await conversation.contents()

    assert [event.type for event in ends] == ["run.cancelled"] * 2
    assert (third.type, last.type) == ("run.started", "run.completed")
    assert contents == ["one", "three"]


async def test_a_queue_has_a_bound(open_chat: OpenChat, agent_id: str, model: ModelServer, person: User) -> None:
    async with open_chat(max_queued=1) as chat:
        chat.headers.update(person.headers)
        async with busy(chat, agent_id, model) as conversation, waiting(chat, conversation.message("two")) as (_, rest):
            refused = await chat.post(MESSAGE, json=conversation.message("three"))
            model.go_on.set()
            [event async for event in rest]
            contents = await conversation.contents()

    assert (refused.status_code, refused.json()["code"]) == (409, "chat.queue_full")
    assert refused.headers["Retry-After"]
    assert contents == ["one", "two"]


async def test_a_message_that_would_find_no_place_does_not_wait_for_it(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User
) -> None:
    async with open_chat(max_messages=3) as chat:
        chat.headers.update(person.headers)
        async with busy(chat, agent_id, model) as conversation:
            refused = await chat.post(MESSAGE, json=conversation.message("two"))
            model.go_on.set()
            await conversation.rest()

    assert (refused.status_code, refused.json()["code"]) == (409, "chat.conversation_full")


async def test_a_message_waits_for_so_long_and_no_longer(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User
) -> None:
    async with open_chat(queue_seconds=0.5) as chat:
        chat.headers.update(person.headers)
        async with busy(chat, agent_id, model) as conversation:
            async with waiting(chat, conversation.message("two")) as (two, rest):
                told = [event async for event in rest]
            whole = await chat.post(MESSAGE, json=conversation.message("three", stream=False))
            state = await conversation.state_of(two.data["run_id"])
            model.go_on.set()
            await conversation.rest()
            contents = await conversation.contents()

    assert [(event.type, event.data["code"]) for event in told] == [("run.failed", "chat.turn_expired")]
    assert (whole.status_code, whole.json()["code"]) == (409, "chat.turn_expired")
    assert state == "failed"
    assert contents == ["one"]


async def test_deleting_the_conversation_ends_those_who_wait(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer, suite: Suite, person: User
) -> None:
    async with busy(chat, agent_id, model) as conversation, waiting(chat, conversation.message("two")) as (two, rest):
        deleted = await chat.delete(f"{CONVERSATIONS}/{conversation.id}")
        told = [event async for event in rest]
        model.go_on.set()
        await conversation.rest()
        found = await chat.get(f"{RUNS}/{two.data['run_id']}")
    async with open_redis(suite.url("redis")) as redis:
        left = await redis.exists(Keys(Owner(person.tenant_id, person.user_id)).queue(conversation.id))

    assert deleted.status_code == 204
    assert [(event.type, event.data["code"]) for event in told] == [("run.failed", "chat.conversation_not_found")]
    assert (found.status_code, left) == (404, 0)


async def test_a_conversation_with_a_queue_is_renamed_and_forked_without_it(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    async with busy(chat, agent_id, model) as conversation, waiting(chat, conversation.message("two")) as (two, rest):
        address = f"{CONVERSATIONS}/{conversation.id}"
        renamed = await chat.patch(address, json={"title": "Another"})
        forked = await chat.post(f"{address}/fork", json={"message_id": conversation.first.data["message"]["id"]})
        waits = await chat.post(f"{address}/fork", json={"message_id": two.data["message"]["id"]})
        model.go_on.set()
        last = [event async for event in rest][-1]

    assert renamed.json()["title"] == "Another"
    assert (forked.status_code, forked.json()["message_count"]) == (201, 1)
    assert (waits.status_code, waits.json()["code"]) == (404, "chat.message_not_found")
    assert last.type == "run.completed"


async def test_a_token_that_is_revoked_meanwhile_begins_nothing(
    chat: httpx.AsyncClient, auth: httpx.AsyncClient, agent_id: str, model: ModelServer, person: User
) -> None:
    async with busy(chat, agent_id, model) as conversation, waiting(chat, conversation.message("two")) as (_, rest):
        left = await auth.post("/api/v1/auth/logout", headers=person.headers)
        refused = [await chat.get(CONVERSATIONS)]

        async def is_known() -> bool:
            refused.append(await chat.get(CONVERSATIONS))
            return refused[-1].status_code == 401

        await until(is_known)
        model.go_on.set()
        told = [event async for event in rest]

    assert left.is_success
    assert [(event.type, event.data["code"]) for event in told] == [("run.failed", "common.unauthenticated")]
    assert len(model.asked) == 1


async def test_a_message_that_is_cancelled_before_its_turn_has_reserved_nothing_any_more(
    open_chat: OpenChat, agent_id: str, model: ModelServer, person: User
) -> None:
    async with open_chat(tokens_per_day_user=12_000) as chat:  # a turn reserves about 3,000
        chat.headers.update(person.headers)
        async with busy(chat, agent_id, model) as conversation:
            answers = list[int]()
            for _ in range(20):
                async with waiting(chat, conversation.message("two")) as (two, rest):
                    cancelled = await chat.post(f"{RUNS}/{two.data['run_id']}/cancel")
                    answers.append(cancelled.status_code)
                    [event async for event in rest]
            model.go_on.set()
            last = (await conversation.rest())[-1]

    assert answers == [200] * 20
    assert last.type == "run.completed"


@pytest.mark.parametrize("how", ["reject", "regenerate", "interrupt"])
async def test_a_run_whose_lease_ran_out_keeps_its_conversation_while_it_has_not_ended(
    open_chat: OpenChat, agent_id: str, model: ModelServer, suite: Suite, person: User, how: str
) -> None:
    """As after a Redis that stood still, before the process could say so: the run is there, and can be cancelled."""
    keys = Keys(Owner(person.tenant_id, person.user_id))
    async with open_chat(run_lease_seconds=60) as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        async with busy(chat, agent_id, model) as conversation:
            await redis.delete(keys.lease(conversation.id))
            if how == "regenerate":
                answer = await chat.post(f"{CONVERSATIONS}/{conversation.id}/regenerate", json={})
            else:
                body = conversation.message("two", on_busy=how, stream=True)
                async with chat.stream("POST", MESSAGE, json=body) as answer:
                    await answer.aread() if answer.is_error else None
                    state = await conversation.state_of(conversation.first.data["run_id"])
                    model.go_on.set()
                    await answer.aread()
            model.go_on.set()
            last = (await conversation.rest())[-1]

    if how == "interrupt":
        assert (answer.status_code, state, last.type) == (200, "cancelled", "run.cancelled")
    else:
        assert (answer.status_code, answer.json()["code"]) == (409, "chat.run_active")
        assert last.type == "run.completed"


async def _turn(chat: httpx.AsyncClient, agent_id: str, person: User) -> Turn:
    """One that may wait in a conversation that is free."""
    first = (await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "one"})).json()
    run_id, owner = new_id(), Owner(person.tenant_id, person.user_id)
    question = Message(new_id(), run_id, "user", "two", [], now())
    return Turn(run_id, first["conversation_id"], False, owner, Agent(agent_id, "", None, ()), question, "token", "m")


async def test_whoever_begins_and_never_hears_so_holds_the_conversation_when_it_asks_again(
    chat: httpx.AsyncClient, agent_id: str, suite: Suite, person: User
) -> None:
    turn = await _turn(chat, agent_id, person)
    lease = Keys(turn.owner).lease(turn.conversation_id)
    async with open_redis(suite.url("redis")) as redis:
        queue = QueueRepository(redis, Bounds(60_000, 60_000, 60, 10, 10), "inbox")
        await queue.enqueue(turn, None)
        answers = [await queue.take(turn)]
        await redis.delete(lease)  # it ran out meanwhile
        answers.append(await queue.take(turn))
        holder = await redis.get(lease)
        await redis.set(lease, "another")
        answers.append(await queue.take(turn))
        others = await redis.get(lease)
        await redis.delete(lease)

    assert answers == ["ok"] * 3
    assert (holder, others) == (turn.run_id.encode(), b"another")


async def test_a_message_is_noted_with_the_command_that_has_it_wait(
    chat: httpx.AsyncClient, agent_id: str, suite: Suite, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks after such messages forgets what is noted and does not wait: in between nobody can."""
    turns = [await _turn(chat, agent_id, person) for _ in range(2)]
    sent, send = list[str](), AbstractConnection.send_packed_command
    async with open_redis(suite.url("redis")) as redis:
        queue = QueueRepository(redis, Bounds(60_000, 60_000, 60, 10, 10), "inbox")
        await queue.enqueue(turns[0], None)  # which opens a connection, and sends the script once

        async def counted(connection: AbstractConnection, command: Any, check_health: bool = True) -> None:
            if any(turns[1].run_id.encode() in bytes(part) for part in command):
                sent.append(turns[1].run_id)
            await send(connection, command, check_health)

        with monkeypatch.context() as patched:
            patched.setattr(AbstractConnection, "send_packed_command", counted)
            await queue.enqueue(turns[1], None)
        scores = [
            await redis.zscore(QUEUED, running_member(turn.owner, turn.conversation_id, turn.run_id)) for turn in turns
        ]

    assert None not in scores
    assert len(sent) == 1


class _Unheard(QueueRepository):
    """One whose answer to the first message is lost."""

    async def enqueue(self, *message: Any) -> Any:
        await super().enqueue(*message)
        raise Unavailable("redis")


async def test_a_message_whose_place_nobody_heard_of_stands_in_nobodys_way(
    chat: httpx.AsyncClient, agent_id: str, suite: Suite, person: User
) -> None:
    turn = await _turn(chat, agent_id, person)
    keys = Keys(turn.owner)
    async with open_redis(suite.url("redis")) as redis:
        queue = _Unheard(redis, Bounds(60_000, 60_000, 60, 10, 10), "inbox")
        means: list[Any] = [None, None, queue, turn, LiveRun(turn.run_id, turn.conversation_id)]
        with pytest.raises(Unavailable):
            await Journal(*means).enqueue(None)
        left = await queue.list_waiting(turn.owner, turn.conversation_id)
        status = await redis.hget(keys.run(turn.run_id), "status")

    assert (left, status) == ([], b"failed")
