"""In a Redis that is full what ends and frees goes on; what is told of runs, in test_run_events.py."""

import httpx
import orjson

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.keeping import kept_bytes
from services.chat.storage import RUNNING, Keys, running_member
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat, until
from tests.services.chat.fullness import full
from tests.services.chat.queueing import CONVERSATIONS, MESSAGE, RUNS, busy, waiting
from tests.services.chat.servers import ModelServer
from tests.services.chat.test_sweeping import abandoned


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


async def test_a_run_fails_and_leaves_its_conversation_free(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer, suite: Suite, person: User
) -> None:
    """Its answer has no room, and its end has: that is told, kept and counted at once."""
    async with open_redis(suite.url("redis")) as redis, busy(chat, agent_id, model) as conversation:
        async with full(redis):
            model.go_on.set()
            told = await conversation.rest()
            state = await conversation.state_of(conversation.first.data["run_id"])
            lease = await redis.exists(Keys(Owner(person.tenant_id, person.user_id)).lease(conversation.id))
            usage = (await chat.get("/api/v1/chat/usage")).json()
        again = await chat.post(MESSAGE, json=conversation.message("two", stream=False, on_busy="reject"))

    assert (told[-1].type, state, lease) == ("run.failed", "failed", 0)
    assert [row["failed_runs"] for row in usage["rows"]] == [1]
    assert again.status_code == 200


async def test_a_run_that_goes_on_is_left_alone(
    open_chat: OpenChat, agent_id: str, model: ModelServer, suite: Suite, person: User
) -> None:
    """Its lease is renewed, for longer than it takes to be given up, and whoever looks after it puts it off."""
    async with (
        open_redis(suite.url("redis")) as redis,
        open_chat(run_lease_seconds=1) as chat,
        open_chat(run_lease_seconds=1),
    ):
        chat.headers.update(person.headers)
        async with busy(chat, agent_id, model) as conversation:
            owner, run_id = Owner(person.tenant_id, person.user_id), conversation.first.data["run_id"]
            member = running_member(owner, conversation.id, run_id)
            async with full(redis):
                noted = await redis.zscore(RUNNING, member) or 0

                async def is_held_for_long() -> bool:
                    assert await redis.hget(Keys(owner).run(run_id), "status") == b"running"
                    held = await redis.get(Keys(owner).lease(conversation.id)) == run_id.encode()
                    return held and (await redis.zscore(RUNNING, member) or 0) > noted + 5_000

                await until(is_held_for_long)
            model.go_on.set()
            told = await conversation.rest()

    assert told[-1].type == "run.completed"


async def test_what_died_is_ended_behind_many_that_live(chat: httpx.AsyncClient, person: User, suite: Suite) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    async with open_redis(suite.url("redis")) as redis:
        living = {running_member(owner, new_id(), new_id()): number for number in range(120)}
        for member in living:
            _, _, conversation_id, run_id = orjson.loads(member)
            await redis.set(Keys(owner).lease(conversation_id), run_id, ex=60)
        run_id = await abandoned(redis, owner, 1_000)
        await redis.zadd(RUNNING, living)
        async with full(redis):

            async def is_ended() -> bool:
                return await redis.hget(Keys(owner).run(run_id), "status") == b"failed"

            await until(is_ended)
        await redis.zrem(RUNNING, *living)
