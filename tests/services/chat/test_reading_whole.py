"""A conversation that is longer than a model's window is not read whole to be refused."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.dialogue.telling import Told
from services.chat.domain import Citation, Message, Owner
from services.chat.generation import ToolCall
from services.chat.items.repository import ItemRepository
from services.chat.responses.speaking import Typed
from services.chat.responses.unfolding import Unfolding
from services.chat.runs.logs import RunTooLong
from services.chat.storage import Keys, message_from
from services.chat.times import now
from shared.loops import in_background
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.chat.responding import RESPONSES, asking, created

_MINUTE_MS = 60_000
_CALLS = 200
_DELTAS = 2_000
_ANSWERS = 24  # of half a MiB
_ARGUMENTS = '"%s"' % ("x" * 2_000)


def _called(at: int) -> Message:
    return Message(new_id(), None, "assistant", "", [], now(), tool_call=ToolCall(f"call_{at}", "f", _ARGUMENTS))


def _cited() -> Message:
    sources = [Citation(number, "c", "r", 0.5, "x" * 2**16) for number in range(1, 9)]
    return Message(new_id(), None, "assistant", "Yes.", sources, now())


async def test_of_calls_no_more_is_read_than_a_model_is_told(
    chat: httpx.AsyncClient, person: User, suite: Suite
) -> None:
    owner, bounds = Owner(person.tenant_id, person.user_id), Bounds(_MINUTE_MS, _MINUTE_MS, 60, 1_000, 10)
    async with open_redis(suite.url("redis")) as redis:
        items = ItemRepository(redis, bounds)
        put = await items.begin(owner, [_called(at) for at in range(_CALLS)], {}, None)
        some, _ = await items.read_whole(owner, put.conversation_id, 1_000, is_kept=False)
        whole, _ = await items.read_whole(owner, put.conversation_id, _CALLS * 3_000, is_kept=False)
        answer = await chat.post(RESPONSES, json=asking(conversation=f"conv_{put.conversation_id}"))

    assert len(some) < _CALLS == len(whole)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "chat.prompt_too_long")


async def test_of_citations_no_more_is_read_than_a_run_keeps(
    chat: httpx.AsyncClient, person: User, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor any of them for a model, which is told none."""
    stretches = list[int]()
    read = message_from

    def counted(stored: bytes) -> Message:
        stretches.append(len(stored))
        return read(stored)

    monkeypatch.setattr("services.chat.items.repository.message_from", counted)
    owner, bounds = Owner(person.tenant_id, person.user_id), Bounds(_MINUTE_MS, _MINUTE_MS, 60, 1_000, 10)
    async with open_redis(suite.url("redis")) as redis:
        items = ItemRepository(redis, bounds)
        put = await items.begin(owner, [_cited() for _ in range(_ANSWERS)], {}, None)
        with pytest.raises(RunTooLong):
            await items.read_whole(owner, put.conversation_id, 100_000, is_kept=True)
        read_to_keep = sum(stretches)
        told, _ = await items.read_whole(owner, put.conversation_id, 100_000, is_kept=False)
        conversation = f"conv_{put.conversation_id}"
        answers = [
            await chat.post(RESPONSES, json=asking(conversation=conversation, store=one)) for one in (True, False)
        ]

    assert bounds.logs.run < read_to_keep < bounds.logs.run + 3 * 2**20
    assert [(one.content, one.citations) for one in told] == [("Yes.", ())] * _ANSWERS
    assert [answer.status_code for answer in answers] == [400, 200]
    assert answers[0].json()["error"]["code"] == "chat.conversation_unkeepable"


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_page_ends_early_where_its_messages_are_large(
    chat: httpx.AsyncClient, person: User, suite: Suite, order: str
) -> None:
    """At both doors; and those behind it follow."""
    owner, bounds = Owner(person.tenant_id, person.user_id), Bounds(_MINUTE_MS, _MINUTE_MS, 60, 1_000, 10)
    async with open_redis(suite.url("redis")) as redis:
        put = await ItemRepository(redis, bounds).begin(owner, [_cited() for _ in range(_ANSWERS)], {}, None)
    pages, sizes, after = list[list[str]](), list[int](), dict[str, Any]()
    path = f"/api/v1/conversations/conv_{put.conversation_id}/items"
    while True:
        answer = await chat.get(path, params={"limit": 100, "order": order, **after})
        told = answer.json()
        pages.append([one["id"].partition("_")[2] for one in told["data"]])
        sizes.append(len(answer.content))
        if not told["has_more"]:
            break
        after = {"after": told["last_id"]}
    shown, cursor = list[str](), dict[str, Any]()
    while order == "asc":
        page = await chat.get(
            f"/api/v1/chat/conversations/{put.conversation_id}/messages", params={"limit": 100, **cursor}
        )
        sizes.append(len(page.content))
        shown += [one["id"] for one in page.json()["items"]]
        if not (following := page.json()["next_cursor"]):
            break
        cursor = {"cursor": following}

    listed = [UUID(one) for page in pages for one in page]
    ids = [UUID(one) for one in (put.message_ids if order == "asc" else put.message_ids[::-1])]
    assert listed == ids
    assert all(pages)
    assert order == "desc" or [UUID(one) for one in shown] == ids
    assert 5 * 2**20 > max(sizes) > 3 * 2**20


async def test_a_long_log_is_read_a_little_at_a_time(
    chat: httpx.AsyncClient, person: User, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have their turn meanwhile; and behind its end nothing is read."""
    owner, told = Owner(person.tenant_id, person.user_id), await created(chat)
    events, turns, taken_in = Keys(owner).events(told["run_id"]), 0, Counter[int]()
    take = Unfolding.take

    def counted(unfolding: Unfolding, event: Told) -> list[Typed]:
        taken_in[turns] += 1
        return take(unfolding, event)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with open_redis(suite.url("redis")) as redis:
        entries: Any = await redis.xrange(events)
        first, *said = [fields for _, fields in entries]
        deltas: list[Any] = [{"e": "message.delta", "d": orjson.dumps({"content": "word "})}] * _DELTAS
        await redis.delete(events)
        async with redis.pipeline(transaction=False) as pipeline:
            for number, fields in enumerate([first, *deltas, *said[-2:], *deltas], start=1):
                pipeline.xadd(events, fields, id=f"{number}-0")
            await pipeline.execute()
        monkeypatch.setattr(Unfolding, "take", counted)
        async with in_background(others()):
            answer = await chat.get(f"{RESPONSES}/{told['id']}")

    assert answer.json()["status"] == "completed"
    assert answer.json()["output"][0]["content"][0]["text"] == "word " * _DELTAS
    assert sum(taken_in.values()) == _DELTAS + 3
    assert max(taken_in.values()) < _DELTAS / 2
