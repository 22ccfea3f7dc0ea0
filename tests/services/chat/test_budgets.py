"""Budgets of tokens: never one token too many reserved, and what was used counts in the end."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from local.suite import Suite
from services.chat.errors import TokensUsedUp
from services.chat.usage.budgets import BudgetLimits, Budgets, Reservation
from shared.identity import Caller
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, until
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
LIMITS = BudgetLimits(key=None, user=1000, tenant=None, held_seconds=60)


@pytest.fixture
async def redis(suite: Suite) -> AsyncIterator[Redis]:
    suite.up(["redis"])
    async with open_redis(suite.url("redis")) as redis:
        yield redis


@pytest.fixture
def caller() -> Caller:
    return Caller(new_id(), new_id(), frozenset(), "t", 0, 0, "token", key_id="k")


async def reserve(budgets: Budgets, caller: Caller, tokens: int) -> Reservation | TokensUsedUp:
    try:
        return await budgets.reserve(caller, new_id(), tokens)
    except TokensUsedUp as error:
        return error


async def fitting(budgets: Budgets, caller: Caller) -> int:
    """How many single tokens still have a place, to the hundred."""
    found = [await reserve(budgets, caller, 100) for _ in range(11)]
    return 100 * sum(isinstance(one, Reservation) for one in found)


async def test_64_at_once_on_two_replicas_are_never_given_one_too_many(redis: Redis, caller: Caller) -> None:
    replicas = [Budgets(redis, LIMITS), Budgets(redis, LIMITS)]

    found = await asyncio.gather(*(reserve(replicas[n % 2], caller, 30) for n in range(64)))

    assert sum(isinstance(one, Reservation) for one in found) == 1000 // 30


async def test_what_was_used_takes_the_place_of_what_was_reserved_once(redis: Redis, caller: Caller) -> None:
    budgets = Budgets(redis, LIMITS)
    reservation = await budgets.reserve(caller, new_id(), 900)

    for _ in range(3):
        await reservation.settle(200)

    assert await fitting(budgets, caller) == 800


async def test_what_a_dead_process_reserved_is_given_back(redis: Redis, caller: Caller) -> None:
    dead = await Budgets(redis, replace(LIMITS, held_seconds=-1)).reserve(caller, new_id(), 900)
    budgets = Budgets(redis, LIMITS)

    assert await fitting(budgets, caller) == 1000
    await dead.settle(500)  # it was only slow: what it used counts all the same
    with pytest.raises(TokensUsedUp):
        await budgets.reserve(caller, new_id(), 1)


async def test_what_a_dead_process_noted_as_used_is_not_given_back(redis: Redis, caller: Caller) -> None:
    dead = await Budgets(redis, replace(LIMITS, held_seconds=-1)).reserve(caller, new_id(), 900)
    for used in (100, 300):
        await dead.note(used)
    budgets = Budgets(redis, LIMITS)
    before = await budgets.reserve(caller, new_id(), 700)
    await before.settle(0)
    await dead.settle(500)  # it was only slow: what it used counts, and once

    assert await fitting(budgets, caller) == 500


async def test_who_is_cancelled_while_they_reserve_hold_nothing(redis: Redis, caller: Caller) -> None:
    """Also where Redis has heard of it, and only its answer is not there yet."""
    budgets, has_reserved = Budgets(redis, LIMITS), asyncio.Event()

    class Slow:
        async def __call__(self, **given: Any) -> Any:
            await Budgets(redis, LIMITS)._reserve(**given)
            has_reserved.set()
            await asyncio.Event().wait()

    budgets._reserve = Slow()  # type: ignore[assignment]
    for is_heard in (True, False):
        reserving = asyncio.create_task(budgets.reserve(caller, new_id(), 900))
        await (has_reserved.wait() if is_heard else asyncio.sleep(0))
        reserving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reserving

    assert await fitting(Budgets(redis, LIMITS), caller) == 1000


async def test_what_was_noted_goes_where_it_is_settled(redis: Redis, caller: Caller) -> None:
    budgets = Budgets(redis, LIMITS)
    reservation = await budgets.reserve(caller, new_id(), 900)
    await reservation.note(800)
    await reservation.settle(200)

    assert await fitting(budgets, caller) == 800


@pytest.mark.parametrize("whose", ["key", "user", "tenant"])
async def test_each_budget_is_its_own(redis: Redis, caller: Caller, whose: str) -> None:
    own: dict[str, Any] = {"user": None} | {whose: 100}
    budgets = Budgets(redis, replace(LIMITS, **own))
    others = {
        "key": replace(caller, key_id="another"),
        "user": replace(caller, subject=new_id()),
        "tenant": replace(caller, tenant_id=new_id()),
    }
    await budgets.reserve(caller, new_id(), 100)

    refused = await reserve(budgets, caller, 1)

    assert isinstance(refused, TokensUsedUp)
    assert f"this {whose} may use" in refused.detail
    assert isinstance(await reserve(budgets, others[whose], 1), Reservation)


async def test_what_is_refused_by_one_budget_is_taken_from_none(redis: Redis, caller: Caller) -> None:
    budgets = Budgets(redis, replace(LIMITS, tenant=100))
    for _ in range(5):
        assert isinstance(await reserve(budgets, caller, 500), TokensUsedUp)

    assert isinstance(await reserve(Budgets(redis, LIMITS), caller, 1000), Reservation)


async def test_what_is_only_reserved_may_be_free_soon(redis: Redis, caller: Caller) -> None:
    budgets = Budgets(redis, LIMITS)
    reservation = await budgets.reserve(caller, new_id(), 1000)

    soon = await reserve(budgets, caller, 1)
    await reservation.settle(1000)
    tomorrow = await reserve(budgets, caller, 1)

    assert isinstance(soon, TokensUsedUp)
    assert isinstance(tomorrow, TokensUsedUp)
    assert soon.headers["Retry-After"] == "5"
    assert 1 <= int(tomorrow.headers["Retry-After"]) <= 86_400


def left(answer: httpx.Response, name: str) -> int:
    """Of the budget, as the answer tells it."""
    found = re.search(rf'"{name}";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    assert found
    assert 0 < int(found[2]) <= 86_400
    return int(found[1])


@pytest.fixture
def body(agent_id: str) -> dict[str, Any]:
    return {"agent_id": agent_id, "content": "How long is the warranty?"}


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_answers_tell_what_is_left_of_each_budget_that_is_set(
    open_chat: OpenChat, person: User, body: dict[str, Any], stream: bool
) -> None:
    async with open_chat(tokens_per_day_user=50_000, tokens_per_day_tenant=90_000) as client:
        client.headers.update(person.headers)
        answer = await client.post(MESSAGE, json=body | {"stream": stream})
        other = await client.get("/api/v1/chat/conversations")

    policies = answer.headers["ratelimit-policy"].split(", ")
    assert policies[1:] == [
        '"tokens-user";q=50000;w=86400;qu="tokens"',
        '"tokens-tenant";q=90000;w=86400;qu="tokens"',
    ]
    assert 90_000 - left(answer, "tokens-tenant") == 50_000 - left(answer, "tokens-user") > 512
    assert "tokens" not in other.headers["ratelimit"]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_a_refusal_tells_which_budget_it_is(
    open_chat: OpenChat, person: User, body: dict[str, Any], stream: bool, model: ModelServer
) -> None:
    async with open_chat(tokens_per_day_user=90_000, tokens_per_day_tenant=300) as client:
        answer = await client.post(MESSAGE, json=body | {"stream": stream}, headers=person.headers)

    assert (answer.status_code, answer.json()["code"]) == (429, "chat.tokens_used_up")
    assert "this tenant may use" in answer.json()["detail"]
    assert (left(answer, "tokens-user"), left(answer, "tokens-tenant")) == (90_000, 300)
    assert model.asked == []


async def test_without_budgets_nothing_is_told_of_them(chat: httpx.AsyncClient, body: dict[str, Any]) -> None:
    answer = await chat.post(MESSAGE, json=body)

    assert answer.headers["ratelimit-policy"] == '"model";q=600;w=60'


async def test_a_message_beyond_the_budget_is_refused_before_it_is_kept(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer
) -> None:
    model.usage = {"prompt_tokens": 4000, "completion_tokens": 995, "total_tokens": 4995}

    async with open_chat(tokens_per_day_user=5000) as client:
        client.headers.update(person.headers)
        answers = [await client.post(MESSAGE, json=body)]

        async def is_refused() -> bool:
            answers.append(await client.post(MESSAGE, json=body))
            return answers[-1].status_code == 429

        await until(is_refused)  # what was used is settled just after the answer
        kept = (await client.get("/api/v1/chat/conversations")).json()["items"]

    assert answers[-1].json()["code"] == "chat.tokens_used_up"
    assert int(answers[-1].headers["retry-after"]) > 0
    assert len(kept) == len(answers) - 1 <= 5


async def until_settled(redis: Redis, person: User) -> None:
    """Nothing is reserved any more in the person's tenant: a run is settled just after its end is told."""
    day = datetime.now(UTC).date()

    async def is_settled() -> bool:
        return await redis.exists(f"chat:{{{person.tenant_id}}}:budget:{day}:reservations") == 0

    await until(is_settled)


async def test_what_is_refused_or_fails_uses_no_more_than_it_did(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer, redis: Redis
) -> None:
    async with open_chat(tokens_per_day_user=5000) as client:  # a turn reserves about 3,000
        client.headers.update(person.headers)
        for _ in range(6):
            refused = await client.post(MESSAGE, json=body | {"conversation_id": new_id()})
            assert refused.status_code == 404
        for _ in range(6):
            model.refuses = [(500, {}, {})]
            failed = await client.post(MESSAGE, json=body)
            assert failed.status_code == 503
            await until_settled(redis, person)
        answer = await client.post(MESSAGE, json=body)

    assert answer.status_code == 200
