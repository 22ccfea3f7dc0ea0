"""A call that a person has to approve: the run lies down, and goes on anywhere."""

import asyncio
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.domain import Decision, Owner
from services.chat.runs.events import Event
from services.chat.runs.laying import turn_of
from services.chat.runs.pauses import PauseBounds, PauseRepository, Resumed
from services.chat.runs.repository import RunRepository
from services.chat.storage import Keys
from shared.identity import Caller
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.chat.client import OpenChat, ServerEvent, events_of, until
from tests.services.chat.lapsing import lapse
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_tools import WEATHER

MESSAGE, RUNS = "/api/v1/chat/message", "/api/v1/chat/runs"
PAY = WEATHER | {"name": "pay", "needs_approval": True}
ULM, JENA = ("pay", {"city": "Ulm"}), ("pay", {"city": "Jena"})


@pytest.fixture
def body(agent_id: str, neighbours: Neighbours) -> dict[str, Any]:
    neighbours.agents[agent_id]["tools"] = ["pay", "weather.now"]
    neighbours.tools = [PAY, WEATHER]
    neighbours.tool_results = {"pay": {"content": "Paid."}}
    return {"agent_id": agent_id, "content": "Pay."}


async def lay_down(chat: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await chat.post(MESSAGE, json=body)
    assert answer.status_code == 202, answer.text
    waiting: dict[str, Any] = answer.json()
    return waiting


async def decide(
    chat: httpx.AsyncClient, run_id: str, call: int = 1, *, approve: bool = True, reason: str | None = None
) -> httpx.Response:
    said = {"approve": approve} | ({"reason": reason} if reason else {})
    return await chat.post(f"{RUNS}/{run_id}/approvals/call{call:05d}", json=said)


async def follow(chat: httpx.AsyncClient, run_id: str, seen: int = 0) -> list[ServerEvent]:
    headers = {"Last-Event-ID": str(seen)} if seen else {}
    async with chat.stream("GET", f"{RUNS}/{run_id}/events", headers=headers) as response:
        return [event async for event in events_of(response)]


async def test_a_run_waits_and_goes_on_when_its_call_is_approved(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, neighbours: Neighbours
) -> None:
    model.scripted = [calls(ULM), says("It is paid.")]
    waiting = await lay_down(chat, body)
    run_id = waiting["run_id"]
    lying = (await chat.get(f"{RUNS}/{run_id}")).json()
    before = list(neighbours.called)

    decided = await decide(chat, run_id)
    events = await follow(chat, run_id)

    assert waiting["calls"] == [{"call_id": "call00001", "tool": "pay", "arguments": {"city": "Ulm"}}]
    assert (lying["state"], lying["waiting"]["calls"]) == ("requires_action", waiting["calls"])
    assert (before, neighbours.called) == ([], [("pay", {"city": "Ulm"})])
    assert decided.status_code == 200
    assert [event.type for event in events] == [
        "run.started",
        "retrieval.completed",
        "tool.called",
        "run.waiting",
        "run.resumed",
        "tool.completed",
        "message.delta",
        "message.completed",
        "run.completed",
    ]
    assert [event.id for event in events] == list(range(1, 10))
    assert events[-1].data["usage"]["total_tokens"] == 24
    assert events[-2].data["message"]["content"] == "It is paid."
    assert [one["record_id"] for one in events[-2].data["message"]["citations"]] == ["r1", "r2"]


@pytest.mark.parametrize("nothing", ["", "\n"])
async def test_a_call_of_no_arguments_waits_too(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, neighbours: Neighbours, nothing: str
) -> None:
    neighbours.tools = [PAY | {"parameters": {"type": "object"}}]
    model.scripted = [calls(("pay", nothing)), says("It is paid.")]

    waiting = await lay_down(chat, body)
    await decide(chat, waiting["run_id"])
    await follow(chat, waiting["run_id"])

    assert waiting["calls"] == [{"call_id": "call00001", "tool": "pay", "arguments": {}}]
    assert neighbours.called == [("pay", {})]
    assert model.asked[1]["messages"][-2]["tool_calls"][0]["function"]["arguments"] == "{}"


async def test_a_denial_is_told_to_the_model(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, neighbours: Neighbours
) -> None:
    model.scripted = [calls(ULM), says("Then not.")]
    run_id = (await lay_down(chat, body))["run_id"]

    await decide(chat, run_id, approve=False, reason="Too expensive.")
    events = await follow(chat, run_id)

    assert events[-1].type == "run.completed"
    assert model.asked[1]["messages"][-1]["content"] == "Error: The user did not approve this call. Too expensive."
    assert neighbours.called == []


async def test_no_token_lies_with_a_run_that_waits(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, person: User, suite: Suite
) -> None:
    model.scripted = [calls(ULM)]
    run_id = (await lay_down(chat, body))["run_id"]

    async with open_redis(suite.url("redis")) as redis:
        stored: Any = await redis.hgetall(Keys(Owner(person.tenant_id, person.user_id)).run(run_id))

    assert b"Answer in one sentence." in stored[b"loop"]
    assert person.token.encode() not in b"".join(stored.values())


async def test_another_process_goes_on_after_the_first_is_gone(
    open_chat: OpenChat, body: dict[str, Any], model: ModelServer, person: User
) -> None:
    model.scripted = [calls(ULM, ("weather_now", {"city": "Ulm"})), says("It is paid.")]
    async with open_chat() as first:
        first.headers.update(person.headers)
        run_id = (await lay_down(first, body))["run_id"]
    async with open_chat() as second:
        second.headers.update(person.headers)
        await decide(second, run_id)
        events = await follow(second, run_id)

    assert events[-1].type == "run.completed"
    roles = [message["role"] for message in model.asked[1]["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool"]


async def test_a_stream_ends_with_the_wait_and_is_taken_up_again_on_any_replica(
    open_chat: OpenChat, body: dict[str, Any], model: ModelServer, person: User
) -> None:
    model.scripted = [calls(ULM), says("It is paid.")]
    async with open_chat() as one, open_chat() as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        async with one.stream("POST", MESSAGE, json=body | {"stream": True}) as response:
            seen = [event async for event in events_of(response)]
        run_id = seen[0].data["run_id"]
        rest = [asyncio.create_task(follow(client, run_id, seen[-1].id)) for client in (one, other)]
        await decide(other, run_id)
        here, there = [await task for task in rest]

    assert seen[-1].type == "run.waiting"
    assert here == there
    assert [event.id for event in seen + here] == list(range(1, 10))
    assert here[-1].type == "run.completed"


async def go_on_and_die(suite: Suite, person: User, waiting: dict[str, Any]) -> Resumed:
    """The last decision is kept by a process that does nothing more; it is missed once its lease has lapsed."""
    async with open_redis(suite.url("redis")) as redis:
        pauses = PauseRepository(redis, PauseBounds(600_000, 600, lease_ms=600_000), "nobody's")
        owner, ids = Owner(person.tenant_id, person.user_id), (waiting["run_id"], "call00001")
        resumed = await pauses.decide(owner, *ids, Decision(approve=True), waiting["conversation_id"], "theirs")
    assert isinstance(resumed, Resumed)
    return resumed


async def is_missed(suite: Suite, person: User, waiting: dict[str, Any]) -> None:
    """The lease of such a process lapses."""
    async with open_redis(suite.url("redis")) as redis:
        owner = Owner(person.tenant_id, person.user_id)
        await lapse(redis, owner, waiting["conversation_id"], waiting["run_id"])


async def until_state(chat: httpx.AsyncClient, run_id: str, state: str) -> dict[str, Any]:
    runs: list[dict[str, Any]] = []

    async def is_there() -> bool:
        runs.append((await chat.get(f"{RUNS}/{run_id}")).json())
        return bool(runs[-1]["state"] == state)

    await until(is_there)
    return runs[-1]


async def test_a_run_whose_process_dies_with_the_last_approval_waits_again(
    open_chat: OpenChat,
    body: dict[str, Any],
    model: ModelServer,
    neighbours: Neighbours,
    person: User,
    suite: Suite,
) -> None:
    model.scripted = [calls(ULM), says("It is paid.")]
    async with open_chat() as chat:
        chat.headers.update(person.headers)
        waiting = await lay_down(chat, body)
        run_id = waiting["run_id"]
        await go_on_and_die(suite, person, waiting)
        repeated = await decide(chat, run_id)
        await is_missed(suite, person, waiting)
        again = await until_state(chat, run_id, "requires_action")
        decided = await decide(chat, run_id)
        events = await follow(chat, run_id)

    assert (repeated.status_code, repeated.json()["state"]) == (200, "running")
    assert again["waiting"] == {"calls": waiting["calls"], "expires_at": waiting["expires_at"]}
    assert decided.status_code == 200
    assert [event.type for event in events if event.type.startswith("run.")] == [
        "run.started",
        "run.waiting",
        "run.waiting",
        "run.resumed",
        "run.completed",
    ]
    assert neighbours.called == [("pay", {"city": "Ulm"})]


async def test_a_run_whose_process_may_have_called_does_not_wait_again(
    open_chat: OpenChat, body: dict[str, Any], model: ModelServer, person: User, suite: Suite
) -> None:
    model.scripted = [calls(ULM)]
    keys = Keys(Owner(person.tenant_id, person.user_id))
    async with open_chat() as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        waiting = await lay_down(chat, body)
        resumed = await go_on_and_die(suite, person, waiting)
        event: dict[Any, Any] = {"e": "run.resumed", "d": "{}"}
        await redis.xadd(keys.events(waiting["run_id"]), event, id=f"{resumed.last_event + 1}-0")
        await is_missed(suite, person, waiting)
        failed = await until_state(chat, waiting["run_id"], "failed")

    assert failed["error"]["code"] == "chat.interrupted"


async def test_a_process_that_was_only_slow_makes_no_call_that_another_has_made(
    open_chat: OpenChat,
    body: dict[str, Any],
    model: ModelServer,
    neighbours: Neighbours,
    person: User,
    suite: Suite,
) -> None:
    """It comes back when the run waits again, or has gone on elsewhere."""
    neighbours.go_on.clear()
    model.scripted = [calls(ULM), says("It is paid.")]
    caller = Caller(person.user_id, person.tenant_id, frozenset(), "t", 0, 0, "token")
    async with open_chat() as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        waiting = await lay_down(chat, body)
        run_id = waiting["run_id"]
        resumed = await go_on_and_die(suite, person, waiting)
        slow, repository = turn_of(caller, resumed), RunRepository(redis, Bounds(0, 500, 0, 0, 0), "nobody's")
        event = Event(resumed.last_event + 1, "run.resumed", b'{"decisions":[{"call_id":"call00001"}]}')
        await is_missed(suite, person, waiting)
        await until_state(chat, run_id, "requires_action")
        told = [await repository.append(slow, event), await repository.renew(slow)]
        await decide(chat, run_id)
        await neighbours.is_calling.wait()
        told += [await repository.append(slow, event), await repository.renew(slow)]
        neighbours.go_on.set()
        events = await follow(chat, run_id)

    assert told == ["ended", "lost"] * 2
    assert events[-1].type == "run.completed"
    assert len(neighbours.called) == 1


async def test_two_who_approve_the_last_call_at_once_have_it_made_once(
    open_chat: OpenChat, body: dict[str, Any], model: ModelServer, neighbours: Neighbours, person: User
) -> None:
    model.scripted = [calls(ULM, JENA), says("Both are paid.")]
    async with open_chat() as one, open_chat() as other:
        one.headers.update(person.headers)
        other.headers.update(person.headers)
        run_id = (await lay_down(one, body))["run_id"]
        answers = await asyncio.gather(
            *[decide(client, run_id, call) for client in (one, other) for call in (1, 2) for _ in range(2)]
        )
        events = await follow(one, run_id)

    assert [answer.status_code for answer in answers] == [200] * 8
    assert sorted(city["city"] for _, city in neighbours.called) == ["Jena", "Ulm"]
    assert [event.type for event in events].count("run.resumed") == 1


async def test_the_first_word_on_a_call_counts(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [calls(ULM), says("It is paid.")]
    run_id = (await lay_down(chat, body))["run_id"]

    await decide(chat, run_id)
    same, other = await decide(chat, run_id), await decide(chat, run_id, approve=False)
    unknown = await decide(chat, run_id, 7)

    assert same.status_code == 200
    assert (other.status_code, other.json()["code"]) == (409, "chat.call_decided")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "chat.call_not_found")


async def test_a_run_may_wait_more_than_once(chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer) -> None:
    model.scripted = [calls(ULM), calls(JENA), says("Both are paid.")]
    run_id = (await lay_down(chat, body))["run_id"]

    async def waits_for(call_id: str) -> bool:
        waiting = (await chat.get(f"{RUNS}/{run_id}")).json()["waiting"]
        return bool(waiting) and waiting["calls"][0]["call_id"] == call_id

    await decide(chat, run_id, 1)
    await until(lambda: waits_for("call00002"))
    await decide(chat, run_id, 2)
    events = await follow(chat, run_id)

    assert [event.data for event in events if event.type == "run.resumed"] == [
        {"decisions": [{"call_id": f"call{call:05d}", "approve": True, "reason": None}]} for call in (1, 2)
    ]
    assert events[-1].type == "run.completed"


async def test_a_conversation_whose_run_waits_takes_no_message_and_can_be_interrupted(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [calls(ULM), says("Something else.")]
    waiting = await lay_down(chat, body)
    next_one = body | {"conversation_id": waiting["conversation_id"]}

    refused = await chat.post(MESSAGE, json=next_one)
    answered = await chat.post(MESSAGE, json=next_one | {"on_busy": "interrupt"})
    decided = await decide(chat, waiting["run_id"])

    assert (refused.status_code, refused.json()["code"]) == (409, "chat.run_active")
    assert answered.status_code == 200
    assert (decided.status_code, decided.json()["code"]) == (409, "chat.run_ended")
    run = (await chat.get(f"{RUNS}/{waiting['run_id']}")).json()
    assert (run["state"], run["waiting"]) == ("cancelled", None)


async def test_a_run_that_nobody_decides_on_fails_in_the_end(
    open_chat: OpenChat, body: dict[str, Any], model: ModelServer, person: User
) -> None:
    model.scripted = [calls(ULM), says("Something else.")]
    async with open_chat(approval_seconds=1) as chat:
        chat.headers.update(person.headers)
        waiting = await lay_down(chat, body)
        events = await follow(chat, waiting["run_id"])
        decided = await decide(chat, waiting["run_id"])
        answered = await chat.post(MESSAGE, json=body | {"conversation_id": waiting["conversation_id"]})

    assert (events[-1].type, events[-1].data["code"]) == ("run.failed", "chat.approval_expired")
    assert (decided.status_code, decided.json()["code"]) == (409, "chat.run_ended")
    assert answered.status_code == 200


async def test_a_repetition_is_told_what_the_run_waits_for_and_later_its_answer(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [calls(ULM), says("It is paid.")]
    headers = {"Idempotency-Key": new_id()}
    first = await chat.post(MESSAGE, json=body, headers=headers)

    again = await chat.post(MESSAGE, json=body, headers=headers)
    await decide(chat, first.json()["run_id"])
    await follow(chat, first.json()["run_id"])
    answered = await chat.post(MESSAGE, json=body, headers=headers)

    assert (again.status_code, again.json()) == (202, first.json())
    assert answered.status_code == 200
    assert answered.json()["message"]["content"] == "It is paid."


async def test_a_conversation_that_is_deleted_takes_its_waiting_run_along(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [calls(ULM)]
    waiting = await lay_down(chat, body)

    await chat.delete(f"/api/v1/chat/conversations/{waiting['conversation_id']}")

    assert (await decide(chat, waiting["run_id"])).json()["code"] == "chat.run_not_found"


async def test_nobody_else_decides(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, register_user: RegisterUser
) -> None:
    stranger = await register_user()
    model.scripted = [calls(ULM)]
    waiting = await lay_down(chat, body)
    path = f"{RUNS}/{waiting['run_id']}/approvals/call00001"

    answer = await chat.post(path, json={"approve": True}, headers=stranger.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "chat.run_not_found")


@pytest.mark.parametrize(
    "said", [{}, {"approve": "yes"}, {"approve": True, "reason": "x" * 1_001}, {"approve": 1, "a": 2}]
)
async def test_what_is_no_decision_is_refused(chat: httpx.AsyncClient, said: dict[str, Any]) -> None:
    answer = await chat.post(f"{RUNS}/{new_id()}/approvals/call00001", json=said)

    assert answer.status_code == 422


async def test_an_agent_that_is_gone_ends_its_run_when_it_is_to_go_on(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, neighbours: Neighbours, agent_id: str
) -> None:
    model.scripted = [calls(ULM)]
    run_id = (await lay_down(chat, body))["run_id"]
    del neighbours.agents[agent_id]

    await decide(chat, run_id)
    events = await follow(chat, run_id)

    assert (events[-1].type, events[-1].data["code"]) == ("run.failed", "chat.agent_not_found")
    assert neighbours.called == []
