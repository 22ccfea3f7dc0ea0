"""What turns use up, counted once and shown to whom it concerns."""

import asyncio
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.usage.repository import UsageRepository
from services.chat.usage.schemas import UsageRow
from services.chat.usage.users import UsageUsers
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.letters import Letters
from tests.services.auth.tenancy import joining
from tests.services.chat.client import OpenChat, until
from tests.services.chat.queueing import busy, waiting
from tests.services.chat.scripts import Script, calls, says
from tests.services.chat.servers import ModelServer, Neighbours

MESSAGE, USAGE = "/api/v1/chat/message", "/api/v1/chat/usage"
NO = dict[str, str]()


@pytest.fixture
def body(agent_id: str) -> dict[str, Any]:
    return {"agent_id": agent_id, "content": "How long is the warranty?"}


async def rows(client: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    answer = await client.get(USAGE, params=query)
    found: list[dict[str, Any]] = answer.raise_for_status().json()["rows"]
    return found


async def test_a_turn_is_counted_with_its_tokens(chat: httpx.AsyncClient, body: dict[str, Any]) -> None:
    for _ in range(2):
        await chat.post(MESSAGE, json=body)

    (row,) = await rows(chat)

    assert (row["runs"], row["failed_runs"], row["prompt_tokens"], row["completion_tokens"]) == (2, 0, 24, 10)
    assert row["cost"] is None
    assert row["first_token_ms"] >= 0
    assert row["duration_ms"] > 0


async def test_it_is_put_together_by_agent_and_model(
    chat: httpx.AsyncClient, body: dict[str, Any], neighbours: Neighbours
) -> None:
    other = new_id()
    neighbours.agents[other] = neighbours.agents[body["agent_id"]] | {"id": other, "model": "another"}
    for agent_id in (body["agent_id"], other, other):
        await chat.post(MESSAGE, json=body | {"agent_id": agent_id})

    agents, models = await rows(chat, group_by="agent"), await rows(chat, group_by="model")

    assert [(row["group"], row["runs"]) for row in agents] == [(other, 2), (body["agent_id"], 1)]
    assert [row["runs"] for row in models] == [2, 1]
    assert models[0]["group"] == "another"


async def test_a_price_makes_it_a_cost(open_chat: OpenChat, person: User, body: dict[str, Any]) -> None:
    prices = {"priced": {"prompt_price": 0.5, "completion_price": 2}}

    async with open_chat(llm_model="priced", llm_models=prices) as client:
        client.headers.update(person.headers)
        await client.post(MESSAGE, json=body)
        (row,) = await rows(client)

    assert row["cost"] == pytest.approx((12 * 0.5 + 5 * 2) / 1e6)


async def test_what_failed_and_what_nobody_counted_is_told(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.refuses, model.usage = [(500, {}, NO)], None
    for _ in range(2):
        await chat.post(MESSAGE, json=body)

    (row,) = await rows(chat)

    assert (row["runs"], row["failed_runs"]) == (2, 1)
    assert row["prompt_tokens"] > 10
    assert 0 < row["completion_tokens"] < 40


async def test_an_empty_answer_has_used_up_what_the_provider_counted(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer
) -> None:
    model.scripted = [says("")]

    answer = await chat.post(MESSAGE, json=body)

    (row,) = await rows(chat)
    assert answer.json()["code"] == "chat.answer_empty"
    assert (row["failed_runs"], row["prompt_tokens"], row["completion_tokens"]) == (1, 10, 2)


@pytest.mark.parametrize(
    ("script", "is_written"),
    [
        ([], True),
        ([calls(("weather_now", {"city": "Ulm" * 40}))], True),
        ([[{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}]], False),
    ],
    ids=["text", "calls", "only a head"],
)
async def test_what_is_cancelled_has_used_up_what_was_written(
    chat: httpx.AsyncClient, body: dict[str, Any], model: ModelServer, script: list[Script], is_written: bool
) -> None:
    model.go_on.clear()
    model.scripted = script[:]
    async with chat.stream("POST", MESSAGE, json=body | {"stream": True}) as response:
        lines = response.aiter_lines()
        while "run_id" not in (line := await anext(lines)):
            continue
        await model.is_generating.wait()
        run_id = line.split('"run_id":"')[1][:36]
        await chat.post(f"/api/v1/chat/runs/{run_id}/cancel")

    async def is_counted() -> bool:
        return bool(await rows(chat))

    await until(is_counted)
    (row,) = await rows(chat)
    assert (row["runs"], row["cancelled_runs"]) == (1, 1)
    assert row["prompt_tokens"] > 0
    assert (row["completion_tokens"] > 0) == is_written


async def test_many_at_once_are_all_counted(open_chat: OpenChat, person: User, body: dict[str, Any]) -> None:
    async with open_chat() as one, open_chat() as two:
        for client in (one, two):
            client.headers.update(person.headers)
        answers = await asyncio.gather(*(client.post(MESSAGE, json=body) for client in (one, two) for _ in range(8)))
        (row,) = await rows(one)

    assert {answer.status_code for answer in answers} == {200}
    assert (row["runs"], row["prompt_tokens"]) == (16, 16 * 12)


async def test_a_repetition_is_not_counted_again(chat: httpx.AsyncClient, body: dict[str, Any]) -> None:
    for _ in range(2):
        await chat.post(MESSAGE, json=body, headers={"Idempotency-Key": "once"})

    assert [row["runs"] for row in await rows(chat)] == [1]


async def test_owners_see_the_tenants_and_members_their_own(
    open_chat: OpenChat, suite: Suite, auth: httpx.AsyncClient, register_user: RegisterUser, body: dict[str, Any]
) -> None:
    join = joining(auth, Letters(suite.site.layout.home / "mail"), register_user)
    owner, stranger = await register_user(), await register_user()
    member = await join(owner, "member")
    tenants = {"whose": "tenant", "group_by": "user"}

    async with open_chat() as client:
        await client.post(MESSAGE, json=body, headers=member.headers)
        seen = {
            user.user_id: await client.get(USAGE, params=tenants, headers=user.headers) for user in (owner, stranger)
        }
        refused = await client.get(USAGE, params=tenants, headers=member.headers)
        own = await client.get(USAGE, headers=owner.headers)

    assert [row["group"] for row in seen[owner.user_id].json()["rows"]] == [member.user_id]
    assert seen[stranger.user_id].json()["rows"] == own.json()["rows"] == []
    assert (refused.status_code, refused.json()["code"]) == (403, "common.missing_scope")


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-02-01", "to": "2026-01-01"},
        {"from": "2026-01-01", "to": "2026-12-31"},
        {"from": "0001-01-01"},
        {"to": "0001-01-01"},
        {"to": "9999-12-31"},
        {"from": "yesterday"},
        {"group_by": "colour"},
        {"whose": "everybody"},
        {"scope": "tenant"},
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(chat: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await chat.get(USAGE, params=query)

    assert answer.status_code == 422
    assert next(iter(query)) in str(answer.json()["errors"])


async def test_a_turn_that_ends_after_midnight_is_found_on_its_own_day(suite: Suite) -> None:
    suite.up(["redis"])
    owner, day = Owner(new_id(), new_id()), date(2026, 1, 1)
    next_day = day + timedelta(days=1)
    async with open_redis(suite.url("redis")) as redis:
        users = UsageUsers(redis)
        await users.name(owner, next_day)
        await users.name(owner, day)
        found = await UsageRepository(redis).users_of(owner.tenant_id, [day, next_day])

    assert found == [(day, owner), (next_day, owner)]


async def test_a_message_that_ends_while_it_waits_for_its_turn_is_no_run_that_used_anything(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    async with busy(chat, agent_id, model) as conversation:
        async with waiting(chat, conversation.message("two")) as (two, rest):
            await chat.post(f"/api/v1/chat/runs/{two.data['run_id']}/cancel")
            [event async for event in rest]
        model.go_on.set()
        await conversation.rest()

    (row,) = await rows(chat)

    assert (row["runs"], row["cancelled_runs"]) == (1, 0)
    assert "while it waits" in (UsageRow.model_fields["runs"].description or "")
