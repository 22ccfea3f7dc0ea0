"""How often a turn asks Redis: each time is a wait, for its disk too."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.runs import launching
from services.chat.storage import RETENTION, Keys
from shared.redis import open_redis
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.chat.client import OpenChat, ServerEvent, events_of, until
from tests.services.chat.servers import ModelServer, Neighbours, Send

MESSAGE = "/api/v1/chat/message"
STREAMED = {"retrieval.completed", "message.delta"}


class Held(Neighbours):
    """Its searches wait."""

    def __init__(self) -> None:
        super().__init__()
        self.may_find = asyncio.Event()
        self.may_find.set()

    async def _search(self, body: dict[str, Any], send: Send) -> None:
        await self.may_find.wait()
        await super()._search(body, send)


@pytest.fixture
def neighbours() -> Held:
    return Held()


@pytest.fixture
async def alone(
    suite: Suite, open_chat: OpenChat, person: User, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A replica with a database to itself, which does nothing now and then while a turn of this test's is under way:
    it keeps no lease, notes no usage, and has looked at all conversations."""
    store = urlsplit(suite.url("redis"))._replace(path="/9").geturl()
    monkeypatch.setattr(launching, "_NOTED_EVERY_SECONDS", PATIENCE_SECONDS)
    async with open_redis(store) as redis:
        await redis.flushdb()
        async with open_chat(redis_url=store, run_lease_seconds=120) as client:
            client.headers.update(person.headers)

            async def is_looked_at() -> bool:
                return int(await redis.hget(RETENTION, "done_at") or 0) > 0

            await until(is_looked_at)
            yield client


async def _asked(suite: Suite, owner: Owner, chat: httpx.AsyncClient, body: dict[str, Any]) -> tuple[list[str], Any]:
    """The commands that name a key of the owner, but for those of scripts, and the events of a turn."""
    mark, commands = Keys(owner).run("").removesuffix(":run:"), list[str]()
    async with open_redis(suite.url("redis")) as redis, redis.monitor() as monitor:

        async def listen() -> None:
            async for one in monitor.listen():
                if one["client_type"] != "lua" and mark in one["command"]:
                    commands.append(one["command"])
                if "the end" in one["command"]:
                    return

        listening = asyncio.create_task(listen())
        async with chat.stream("POST", MESSAGE, json=body) as response:
            events = [event async for event in events_of(response)]
        await redis.echo("the end")
        await listening
    return commands, events


def _told(command: str, events: list[ServerEvent]) -> bool:
    """Whether it stores one of the events that are streamed."""
    return any(re.search(rf" {event.id} {event.type} ", command) for event in events if event.type in STREAMED)


async def test_a_turn_asks_redis_twice_beside_what_it_streams(
    alone: httpx.AsyncClient, agent_id: str, neighbours: Held, person: User, suite: Suite
) -> None:
    """To begin and to end; and once for what was said before, while it searches."""
    owner = Owner(person.tenant_id, person.user_id)
    body: dict[str, Any] = {"agent_id": agent_id, "content": "Hello", "stream": True}
    _, warm = await _asked(suite, owner, alone, body)  # who has usage of a day is written down once
    going_on = body | {"conversation_id": warm[0].data["conversation_id"]}
    await _asked(suite, owner, alone, going_on)  # and a script is sent once
    anew, events = await _asked(suite, owner, alone, body)
    later, told_later = await _asked(suite, owner, alone, going_on)

    beside, read = (
        [command.split(" ")[0].lower() for command in commands if not _told(command, told)]
        for commands, told in ((anew, events), (later, told_later))
    )
    streamed = [command for command in anew if _told(command, events)]
    assert beside == ["evalsha", "evalsha"]
    assert len(streamed) == len([event for event in events if event.type in STREAMED])
    assert read == ["evalsha", "evalsha", "evalsha"]
    assert len(neighbours.searches) == 4


async def test_what_was_found_is_stored_while_the_model_is_asked(
    chat: httpx.AsyncClient, agent_id: str, neighbours: Held, model: ModelServer, suite: Suite
) -> None:
    """A Redis that writes nothing when the search is done keeps the model waiting for nobody; all is told in order."""
    neighbours.may_find.clear()
    async with open_redis(suite.url("redis")) as redis:
        body = {"agent_id": agent_id, "content": "Hello", "stream": True}
        async with chat.stream("POST", MESSAGE, json=body) as response:
            told = events_of(response)
            first = await anext(told)
            await redis.client_pause(round(1_000 * PATIENCE_SECONDS), all=False)
            try:
                neighbours.may_find.set()
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await model.is_generating.wait()
            finally:
                await redis.client_unpause()
            rest = [event async for event in told]

    assert [event.id for event in (first, *rest)] == list(range(1, len(rest) + 2))
    assert (rest[0].type, rest[1].type, rest[-1].type) == ("retrieval.completed", "message.delta", "run.completed")
