"""Ends the runs of processes that died, whether or not anybody looks at them.

Every run is noted in one sorted set by when its lease runs out, before it begins. Each replica looks at what is due: a
run that is still held is put off to the end of its lease, at most by a minute, one that has ended is forgotten, and one
whose process is gone fails. Replicas that meet do each other no harm, since a script of Redis decides
(`scripts.ABANDON`). Nothing else of a run writes to the set, so it may name runs that have ended, until they are due.

Runs that wait for their turn are looked after likewise, by a set of their own: each is held by the process that is to
execute it. They are in the other set again when they begin, so what is forgotten is what nobody has noted meanwhile.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson
from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.runs.counting import CancelledCounts
from services.chat.runs.queue import QueueRepository
from services.chat.runs.repository import UNENDED, RunRepository
from services.chat.runs.supervisor import Supervisor
from services.chat.storage import QUEUED, RUNNING, Keys
from services.chat.times import now, to_ms
from shared.loops import in_background, keep
from shared.redis import redis_errors

_log = logging.getLogger("chat.runs")
_EVERY_SECONDS = 1.0
_AT_ONCE = 100
_ABREAST = 8  # connections to Redis are others' too
_PUT_OFF_MS = 1_000
_LONGEST_MS = 60_000  # one that waits is held for a day, and may be gone on with, and die, in a minute
# Both in a Redis that is full too, in which the runs of others are to be ended.
# KEYS set;  ARGV member and score of each.  Puts off those that are there still.
_PUT_OFF = """#!lua flags=allow-oom
for i = 1, #ARGV, 2 do redis.call('ZADD', KEYS[1], 'XX', ARGV[i + 1], ARGV[i]) end
"""
# KEYS set;  ARGV member and score of each.  Takes out those whose score is the same still.
_FORGET = """#!lua flags=allow-oom
for i = 1, #ARGV, 2 do
  if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i])) == tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
"""


@dataclass(frozen=True, slots=True)
class _Due:
    """A run whose lease was to have run out by now, at `score`; `member` is how the set names it."""

    member: bytes
    score: float
    owner: Owner
    conversation_id: str
    run_id: str

    @classmethod
    def of(cls, member: bytes, score: float) -> "_Due":
        tenant_id, user_id, conversation_id, run_id = orjson.loads(member)
        return cls(member, score, Owner(tenant_id, user_id), conversation_id, run_id)


class Sweeper(ABC):
    """Looks after the runs of all replicas that one sorted set names."""

    noted_in: ClassVar[str]

    def __init__(self, redis: Redis, supervisor: Supervisor) -> None:
        self._redis, self._supervisor = redis, supervisor
        self._put_off, self._forget = redis.register_script(_PUT_OFF), redis.register_script(_FORGET)

    @abstractmethod
    def _is_held(self, due: _Due, holder: bytes | None) -> bool:
        """Whether what lies under the key says that a process has it."""

    @abstractmethod
    def _hold_of(self, due: _Due) -> str:
        """The key that says so."""

    @abstractmethod
    async def _ended(self, due: _Due) -> bool:
        """Whether it need not be looked after here, as one that has ended: earlier, or now. Nobody here executes it."""

    async def run(self) -> None:
        """Never returns."""
        await keep(self.step, log=_log, every_seconds=_EVERY_SECONDS, pauses_first=True)

    async def step(self) -> bool:
        """Look after up to a hundred runs that are due; whether there were as many. Raises Unavailable."""
        with redis_errors():
            members: Any = await self._redis.zrange(
                self.noted_in, "-inf", to_ms(now()), byscore=True, offset=0, num=_AT_ONCE, withscores=True
            )
            held_ms = await self._held([_Due.of(*member) for member in members])
        held = [(due, ms) for due, ms in held_ms if ms is not None]
        lapsed = [due for due, ms in held_ms if ms is None]
        ended = [due for due, has in zip(lapsed, await self._have_ended(lapsed), strict=True) if has]
        # One that goes on without its lease is put off too: a hundred of them would hide all others.
        held += [(due, _PUT_OFF_MS) for due in lapsed if due not in ended]
        await self._note(held, ended)
        return len(members) == _AT_ONCE

    async def _held(self, due: list[_Due]) -> list[tuple[_Due, int | None]]:
        """Each with for how many milliseconds it need not be looked at, None where it is not held."""
        if not due:
            return []
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for run in due:
                    name = self._hold_of(run)
                    pipeline.get(name)
                    pipeline.pttl(name)
                found = await pipeline.execute()
        holders, milliseconds = found[::2], found[1::2]
        return [
            (run, min(max(1, ms), _LONGEST_MS) if self._is_held(run, holder) else None)
            for run, holder, ms in zip(due, holders, milliseconds, strict=True)
        ]

    async def _have_ended(self, lapsed: list[_Due]) -> list[bool]:
        have_ended = list[bool]()
        for at in range(0, len(lapsed), _ABREAST):
            have_ended += await asyncio.gather(*[self._has_ended(due) for due in lapsed[at : at + _ABREAST]])
        return have_ended

    async def _has_ended(self, due: _Due) -> bool:
        """Whether it has ended: earlier, or now. One that is executed here goes on, and takes its lease again."""
        live = self._supervisor.find(due.run_id)
        if live and not live.has_ended:
            return False
        return await self._ended(due)

    async def _note(self, held: list[tuple[_Due, int]], ended: list[_Due]) -> None:
        at = to_ms(now())
        with redis_errors():
            if held:
                later = [part for run, ms in held for part in (run.member, at + ms)]
                await self._put_off(keys=[self.noted_in], args=later)
            if ended:
                scored = [part for run in ended for part in (run.member, round(run.score))]
                await self._forget(keys=[self.noted_in], args=scored)


class RunSweeper(Sweeper):
    """Of runs that are executed, or wait for approvals: each has the lease of its conversation."""

    noted_in = RUNNING

    def __init__(self, redis: Redis, repository: RunRepository, supervisor: Supervisor) -> None:
        super().__init__(redis, supervisor)
        self._repository, self._cancelled = repository, CancelledCounts(redis, repository.lease_ms)

    def _hold_of(self, due: _Due) -> str:
        return Keys(due.owner).lease(due.conversation_id)

    def _is_held(self, due: _Due, holder: bytes | None) -> bool:
        return holder == due.run_id.encode()

    async def _ended(self, due: _Due) -> bool:
        status = await self._repository.end_if_abandoned(due.owner, due.run_id, due.conversation_id)
        if status in ("cancelled", "gone"):
            return await self._cancelled.count(due.owner, due.run_id, is_deleted=status == "gone")
        return status == "queued" or status not in UNENDED


class QueueSweeper(Sweeper):
    """Of runs that wait for their turn."""

    noted_in = QUEUED

    def __init__(self, redis: Redis, queue: QueueRepository, supervisor: Supervisor) -> None:
        super().__init__(redis, supervisor)
        self._queue = queue

    def _hold_of(self, due: _Due) -> str:
        return Keys(due.owner).hold(due.run_id)

    def _is_held(self, due: _Due, holder: bytes | None) -> bool:  # noqa: ARG002 - by whomever
        return holder is not None

    async def _ended(self, due: _Due) -> bool:
        return await self._queue.give_up_if_left(due.owner, due.run_id, due.conversation_id)


@asynccontextmanager
async def open_sweepers(
    redis: Redis, repository: RunRepository, queue: QueueRepository, supervisor: Supervisor
) -> AsyncIterator[None]:
    """Have runs looked after as long as the block runs."""
    running = RunSweeper(redis, repository, supervisor)
    queued = QueueSweeper(redis, queue, supervisor)
    async with in_background(running.run(), queued.run()):
        yield
