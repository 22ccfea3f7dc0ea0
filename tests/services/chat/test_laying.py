"""What a run leaves behind that lies: its usage, its place, and a process that may not know of it."""

from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.domain import Agent, Decision, Message, Owner, Turn, Waiting, WaitingCall
from services.chat.events import Done
from services.chat.runs.events import Event
from services.chat.runs.pauses import PauseBounds, PauseRepository, Resumed
from services.chat.runs.repository import RunRepository
from services.chat.storage import Keys
from services.chat.times import now
from shared.identity.telling import Teller
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, until
from tests.services.chat.queueing import waiting as queued
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_approvals import (
    MESSAGE,
    RUNS,
    ULM,
    body,
    decide,
    follow,
    go_on_and_die,
    is_missed,
    lay_down,
    until_state,
)

__all__ = ["body"]


async def test_a_call_that_is_approved_twice_is_charged_to_the_budget(
    open_chat: OpenChat, body: dict[str, Any], model: ModelServer, person: User
) -> None:
    model.scripted = [calls(ULM)]
    model.usage = {"prompt_tokens": 20_000, "completion_tokens": 0, "total_tokens": 20_000}
    async with open_chat(tokens_per_day_user=20_000) as chat:
        chat.headers.update(person.headers)
        run_id = (await lay_down(chat, body))["run_id"]
        model.go_on.clear()
        approved = [(await decide(chat, run_id)).status_code for _ in range(2)]
        model.go_on.set()
        await follow(chat, run_id)

        async def is_refused() -> bool:
            nowhere = body | {"conversation_id": new_id()}  # which itself uses nothing
            answer = await chat.post(MESSAGE, json=nowhere)
            return bool(answer.json()["code"] == "chat.tokens_used_up")

        await until(is_refused)

    assert approved == [200, 200]


async def test_the_next_message_keeps_a_waiting_runs_place_among_those_to_be_deleted(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, person: User, suite: Suite
) -> None:
    model.scripted = [calls(ULM), says("Something else.")]
    conversation_id = (await lay_down(chat, body))["conversation_id"]
    name = Keys(Owner(person.tenant_id, person.user_id)).runs(conversation_id)

    async with open_redis(suite.url("redis")) as redis:
        before = await redis.ttl(name)
        await chat.post(MESSAGE, json=body | {"conversation_id": conversation_id, "on_busy": "interrupt"})
        after = await redis.ttl(name)

    assert before - 3_600 < after <= before  # else a day, as of a run that does not wait


async def usage_of(chat: httpx.AsyncClient) -> dict[str, Any]:
    rows = (await chat.get("/api/v1/chat/usage")).raise_for_status().json()["rows"]
    assert len(rows) == 1
    row: dict[str, Any] = rows[0]
    return row


async def test_what_a_run_used_before_it_waited_counts_though_it_is_cancelled(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [calls(ULM)]
    run_id = (await lay_down(chat, body))["run_id"]
    lying = await usage_of(chat)

    for _ in range(2):
        await chat.post(f"{RUNS}/{run_id}/cancel")
    ended = await usage_of(chat)

    assert (lying["runs"], lying["prompt_tokens"]) == (0, 10)
    assert (ended["runs"], ended["cancelled_runs"], ended["prompt_tokens"]) == (1, 1, 10)


async def test_a_run_that_waited_in_vain_is_counted_as_failed(
    open_chat: OpenChat, body: dict[str, Any], model: ModelServer, person: User
) -> None:
    model.scripted = [calls(ULM)]
    async with open_chat(approval_seconds=1) as chat:
        chat.headers.update(person.headers)
        await follow(chat, (await lay_down(chat, body))["run_id"])
        row = await usage_of(chat)

    assert (row["runs"], row["failed_runs"], row["completion_tokens"]) == (1, 1, 2)


async def test_a_run_that_waited_and_went_on_is_counted_once(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [calls(ULM), says("It is paid.")]
    run_id = (await lay_down(chat, body))["run_id"]
    await decide(chat, run_id)
    await follow(chat, run_id)

    row = await usage_of(chat)

    assert (row["runs"], row["failed_runs"], row["prompt_tokens"], row["completion_tokens"]) == (1, 0, 20, 4)


async def test_whoever_laid_a_run_down_and_never_heard_so_neither_ends_it_nor_lays_it_down_again(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, person: User, suite: Suite
) -> None:
    model.scripted = [calls(ULM)]
    waiting = await lay_down(chat, body)
    model.go_on.clear()
    model.is_generating.clear()
    await decide(chat, waiting["run_id"])
    await model.is_generating.wait()
    turn = _turn_of(waiting, person)
    told = Waiting(turn.run_id, turn.conversation_id, [WaitingCall("call00001", "pay", {})], now())
    async with open_redis(suite.url("redis")) as redis:
        pauses = PauseRepository(redis, PauseBounds(60_000, 60, 60_000), "inbox")
        repository = RunRepository(redis, Bounds(60_000, 60_000, 60, 10, 10), "inbox")
        await pauses.pause(turn, Event(4, "run.waiting", b"{}"), told, b"{}")
        held = await repository.renew(turn)
        status = await repository.end(turn, "failed", [Event(4, "run.failed", b"{}")])
    model.go_on.set()
    events = await follow(chat, turn.run_id)

    assert (held, status) == ("lost", "running")
    assert events[-1].type == "run.completed"
    assert [event.type for event in events].count("run.waiting") == 1


def _turn_of(waiting: dict[str, Any], person: User) -> Turn:
    """The turn as it was for the process that laid its run down."""
    owner, run_id = Owner(person.tenant_id, person.user_id), waiting["run_id"]
    question = Message(new_id(), run_id, "user", "Pay.", [], now())
    return Turn(run_id, waiting["conversation_id"], False, owner, Agent("a", "", None, ()), question, "token", "m")


async def test_where_a_run_could_not_go_on_the_last_decision_is_refused_and_it_waits_on(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, neighbours: Neighbours
) -> None:
    model.scripted = [calls(ULM), says("It is paid.")]
    run_id = (await lay_down(chat, body))["run_id"]
    neighbours.tools_problem = (403, "common.missing_scope")

    refused = await decide(chat, run_id)
    lying = (await chat.get(f"{RUNS}/{run_id}")).json()
    neighbours.tools_problem = None
    decided = await decide(chat, run_id)
    events = await follow(chat, run_id)

    assert (refused.status_code, refused.json()["code"]) == (403, "common.missing_scope")
    assert lying["state"] == "requires_action"
    assert (decided.status_code, events[-1].type) == (200, "run.completed")


async def test_a_run_that_waited_goes_on_within_the_budget_only(
    open_chat: OpenChat, body: dict[str, Any], model: ModelServer, person: User
) -> None:
    script = calls(ULM, ("pay", {"city": "Jena"}))
    script[-1] = {"choices": [], "usage": {"prompt_tokens": 19_900, "completion_tokens": 0, "total_tokens": 19_900}}
    model.scripted = [script]
    async with open_chat(tokens_per_day_user=20_000) as chat:
        chat.headers.update(person.headers)
        run_id = (await lay_down(chat, body))["run_id"]
        first, last = await decide(chat, run_id, 1), await decide(chat, run_id, 2)
        lying = (await chat.get(f"{RUNS}/{run_id}")).json()

    assert first.status_code == 200
    assert (last.status_code, last.json()["code"]) == (429, "chat.tokens_used_up")
    assert lying["state"] == "requires_action"


async def test_a_request_that_never_heard_that_its_run_goes_on_may_ask_again_and_no_other(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, person: User, suite: Suite
) -> None:
    model.scripted = [calls(ULM)]
    waiting = await lay_down(chat, body)
    owner = Owner(person.tenant_id, person.user_id)
    async with open_redis(suite.url("redis")) as redis:
        pauses = PauseRepository(redis, PauseBounds(60_000, 60, 60_000), "inbox")

        async def approve(claim: str | None) -> Resumed | str:
            ids = (owner, waiting["run_id"], "call00001")
            return await pauses.decide(*ids, Decision(True), waiting["conversation_id"], claim)

        unclaimed, first, again, others = [await approve(claim) for claim in (None, "one", "one", "two")]

    assert isinstance(first, Resumed)
    assert (unclaimed, again, others) == ("last", first, "kept")


async def test_a_run_that_waits_shows_what_is_still_to_be_decided(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [calls(ULM, ("pay", {"city": "Jena"}))]
    run_id = (await lay_down(chat, body))["run_id"]
    before = await chat.get(f"{RUNS}/{run_id}")

    decided = await decide(chat, run_id, 2)
    after = await chat.get(f"{RUNS}/{run_id}")

    assert [call["call_id"] for call in before.json()["waiting"]["calls"]] == ["call00001", "call00002"]
    assert [call["call_id"] for call in after.json()["waiting"]["calls"]] == ["call00001"]
    assert before.headers["etag"] != after.headers["etag"] == decided.headers["etag"]


async def test_a_message_that_waited_keeps_a_lying_runs_place_among_those_to_be_deleted(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, person: User, suite: Suite
) -> None:
    model.scripted = [calls(ULM), says("It is paid."), says("You are welcome.")]
    lying = await lay_down(chat, body)
    name = Keys(Owner(person.tenant_id, person.user_id)).runs(lying["conversation_id"])
    thanks = body | {"conversation_id": lying["conversation_id"], "on_busy": "enqueue", "stream": True}

    async with open_redis(suite.url("redis")) as redis:
        before = await redis.ttl(name)
        async with queued(chat, thanks) as (_, rest):
            await decide(chat, lying["run_id"])
            last = [event async for event in rest][-1]
        after = await redis.ttl(name)

    assert last.type == "run.completed"
    assert before - 3_600 < after <= before  # else a day, as of a run that does not wait


@pytest.mark.parametrize("other", ["answers", "has ended"])
async def test_a_run_that_cannot_wait_again_takes_its_conversation_from_nobody(
    open_chat: OpenChat, body: dict[str, Any], model: ModelServer, person: User, suite: Suite, other: str
) -> None:
    """Its process died with the last approval, and another has been begun in its conversation since."""
    model.scripted = [calls(ULM)]
    keys, another = Keys(Owner(person.tenant_id, person.user_id)), new_id()
    async with open_chat() as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        waiting = await lay_down(chat, body)
        lease = keys.lease(waiting["conversation_id"])
        await go_on_and_die(suite, person, waiting)
        await redis.hset(keys.conversation(waiting["conversation_id"]), "run", another)
        await is_missed(suite, person, waiting)
        if other == "answers":
            await redis.set(lease, another)
        failed = await until_state(chat, waiting["run_id"], "failed")
        holder = await redis.get(lease)

    assert failed["error"]["code"] == "chat.interrupted"
    assert holder == (another.encode() if other == "answers" else None)


async def test_an_approval_that_came_to_nothing_and_the_one_after_it_are_told_as_two(
    open_chat: OpenChat,
    body: dict[str, Any],
    model: ModelServer,
    person: User,
    suite: Suite,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model.scripted = [calls(ULM), says("It is paid.")]
    told = list[Any]()
    monkeypatch.setattr(Teller, "tell", lambda _, __, action, *___, once=None: told.append((action, once)))
    async with open_chat() as chat:
        chat.headers.update(person.headers)
        waiting = await lay_down(chat, body)
        await go_on_and_die(suite, person, waiting)
        await decide(chat, waiting["run_id"])  # the same again, which is no other
        await is_missed(suite, person, waiting)
        await until_state(chat, waiting["run_id"], "requires_action")
        for _ in range(2):
            await decide(chat, waiting["run_id"])
        await follow(chat, waiting["run_id"])

    names = [once for action, once in told if action == Done.CALL_APPROVED]
    assert len(names) == 3
    assert len(set(names)) == 2
