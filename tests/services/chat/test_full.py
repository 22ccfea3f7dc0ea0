"""In a Redis that is full what ends and frees goes on; what is told of runs, in test_run_events.py."""

import httpx

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.keeping import kept_bytes
from shared.redis import open_redis
from tests.fixtures.identity import User
from tests.services.chat.fullness import full
from tests.services.chat.queueing import CONVERSATIONS, MESSAGE, RUNS, busy, waiting
from tests.services.chat.servers import ModelServer


async def test_conversations_are_deleted(chat: httpx.AsyncClient, agent_id: str, suite: Suite, person: User) -> None:
    owner, body = Owner(person.tenant_id, person.user_id), {"agent_id": agent_id, "content": "Hello"}
    async with open_redis(suite.url("redis")) as redis:
        conversation_id = (await chat.post(MESSAGE, json=body)).json()["conversation_id"]
        async with full(redis):
            refused = await chat.post(MESSAGE, json=body)
            deleted = await chat.delete(f"{CONVERSATIONS}/{conversation_id}")
            gone = await chat.get(f"{CONVERSATIONS}/{conversation_id}")
        left = [await kept_bytes(redis, owner, of_tenant=of_tenant) for of_tenant in (False, True)]

    assert [refused.status_code, deleted.status_code, gone.status_code] == [503, 204, 404]
    assert left == [0, 0]


async def test_a_run_is_cancelled(chat: httpx.AsyncClient, agent_id: str, model: ModelServer, suite: Suite) -> None:
    async with open_redis(suite.url("redis")) as redis, busy(chat, agent_id, model) as conversation:
        async with full(redis):
            answer = await chat.post(f"{RUNS}/{conversation.first.data['run_id']}/cancel")
        told = await conversation.rest()

    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert told[-1].type == "run.cancelled"


async def test_a_message_that_waits_is_cancelled(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer, suite: Suite
) -> None:
    async with open_redis(suite.url("redis")) as redis, busy(chat, agent_id, model) as conversation:
        async with waiting(chat, conversation.message("two")) as (queued, rest):
            async with full(redis):
                answer = await chat.post(f"{RUNS}/{queued.data['run_id']}/cancel")
            told = [event async for event in rest]
        model.go_on.set()
        await conversation.rest()

    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert [event.type for event in told] == ["run.cancelled"]
