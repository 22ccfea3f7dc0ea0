"""What a run has used is counted though it is deleted after its process died."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import Counter
from redis.asyncio import Redis

from local.suite import Suite
from services.chat.bounds import Bounds
from services.chat.conversations.repository import ConversationRepository
from services.chat.domain import Agent, Message, Owner, Turn
from services.chat.errors import Interrupted
from services.chat.given import Given
from services.chat.responses.repository import ResponseRepository
from services.chat.runs.counting import CancelledCounts
from services.chat.runs.events import failed, started
from services.chat.runs.repository import RunRepository
from services.chat.runs.supervisor import Supervisor
from services.chat.runs.sweeping import RunSweeper
from services.chat.storage import RUNNING, Keys, running_member
from services.chat.times import now
from services.chat.usage.counts import day_of, usage_key
from services.chat.usage.meter import Measured, Meter, metered
from services.chat.usage.notes import UsageNotes
from shared.redis import open_redis
from shared.schemas import new_id
from shared.watchdog import Watchdog
from tests.fixtures.identity import User

_MINUTE_MS = 60_000
_BOUNDS = Bounds(_MINUTE_MS, 10 * _MINUTE_MS, 600, 100, 100)


def _turn(person: User) -> Turn:
    run_id = new_id()
    question = Message(new_id(), run_id, "user", "Hello", [], now())
    agent = Agent("a", "", None, ())
    return Turn(run_id, new_id(), True, Owner(person.tenant_id, person.user_id), agent, question, "token", "m")


async def _as_conversation(redis: Redis, turn: Turn) -> None:
    await ConversationRepository(redis, _BOUNDS).delete(turn.owner, turn.conversation_id, None)


async def _as_response(redis: Redis, turn: Turn) -> None:
    await ResponseRepository(redis).delete(turn.owner, turn.run_id, turn.conversation_id)


@pytest.mark.parametrize(("given", "delete"), [(None, _as_conversation), (Given([], 0), _as_response)])
async def test_a_run_that_is_deleted_after_its_process_died_is_counted_once(
    given: Given | None, delete: Callable[[Redis, Turn], Any], person: User, suite: Suite
) -> None:
    turn = replace(_turn(person), given=given)
    meter = Meter([Measured("m", 12, 5, None, None)])
    suite.up(["redis"])
    async with open_redis(suite.url("redis")) as redis:
        repository = RunRepository(redis, _BOUNDS, "nobody's")
        await repository.start(turn, started(turn))
        await UsageNotes(redis).note(turn, meter)
        await delete(redis, turn)
        early = await CancelledCounts(redis, _MINUTE_MS).count(turn.owner, turn.run_id, is_deleted=True)
        await redis.zadd(RUNNING, {running_member(turn.owner, turn.conversation_id, turn.run_id): 1})
        supervisor = Supervisor(1, 1, Watchdog(Counter("outlived", "none", registry=None)))
        late = RunRepository(redis, replace(_BOUNDS, lease_ms=0), "nobody's")  # for whom it has lapsed
        sweeper = RunSweeper(redis, late, supervisor)
        while await redis.zscore(RUNNING, running_member(turn.owner, turn.conversation_id, turn.run_id)) is not None:
            await sweeper.step()
        with metered(meter):  # a process that comes back all the same
            status = await repository.end(turn, "failed", [failed(2, Interrupted())])
        used: Any = await redis.hgetall(usage_key(turn.owner, day_of(turn)))
        is_there = await redis.exists(Keys(turn.owner).run(turn.run_id))

    assert (early, status, is_there) == (False, "gone", 0)
    counts = {name.split(b"\x1f")[0].decode(): int(number) for name, number in used.items()}
    assert (counts["prompt_tokens"], counts["completion_tokens"], counts["cancelled"]) == (12, 5, 1)
