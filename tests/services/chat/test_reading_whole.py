"""A conversation that is longer than a model's window is not read whole to be refused."""

import httpx

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.domain import Message, Owner
from services.chat.generation import ToolCall
from services.chat.items.repository import ItemRepository
from services.chat.times import now
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.chat.responding import RESPONSES, asking

_MINUTE_MS = 60_000
_CALLS = 200
_ARGUMENTS = '"%s"' % ("x" * 2_000)


def _called(at: int) -> Message:
    return Message(new_id(), None, "assistant", "", [], now(), tool_call=ToolCall(f"call_{at}", "f", _ARGUMENTS))


async def test_of_calls_no_more_is_read_than_a_model_is_told(
    chat: httpx.AsyncClient, person: User, suite: Suite
) -> None:
    owner, bounds = Owner(person.tenant_id, person.user_id), Bounds(_MINUTE_MS, _MINUTE_MS, 60, 1_000, 10)
    async with open_redis(suite.url("redis")) as redis:
        items = ItemRepository(redis, bounds)
        put = await items.begin(owner, [_called(at) for at in range(_CALLS)], {}, None)
        some, _ = await items.read_whole(owner, put.conversation_id, 1_000)
        whole, _ = await items.read_whole(owner, put.conversation_id, _CALLS * 3_000)
        answer = await chat.post(RESPONSES, json=asking(conversation=f"conv_{put.conversation_id}"))

    assert len(some) < _CALLS == len(whole)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "chat.prompt_too_long")
