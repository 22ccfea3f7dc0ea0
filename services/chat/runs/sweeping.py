"""Ends the runs of processes that died, whether or not anybody looks at them.

Every run is noted in one sorted set by when its lease runs out, before it begins. Each replica looks at what is due: a
run that is still held is put off to the end of its lease, at most by a minute, one that has ended is forgotten, and one
whose process is gone fails. Replicas that meet do each other no harm, since a script of Redis decides
(`scripts.ABANDON`). Nothing else of a run writes to the set, so it may name runs that have ended, until they are due.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.runs.repository import UNENDED, RunRepository
from services.chat.runs.supervisor import Supervisor
from services.chat.storage import RUNNING, Keys
from services.chat.times import now, to_ms
from shared.loops import in_background, keep
from shared.redis import redis_errors

_log = logging.getLogger("chat.runs")
_EVERY_SECONDS = 1.0
_AT_ONCE = 100
_ABREAST = 8  # connections to Redis are others' too
_PUT_OFF_MS = 1_000
_LONGEST_MS = 60_000  # one that waits is held for a day, and may be gone on with, and die, in a minute


@dataclass(frozen=True, slots=True)
class _Due:
    """A run whose lease was to have run out by now; `member` is how the set names it."""

    member: bytes
    owner: Owner
    conversation_id: str
    run_id: str

    @classmethod
    def of(cls, member: bytes) -> "_Due":
        tenant_id, user_id, conversation_id, run_id = orjson.loads(member)
        return cls(member, Owner(tenant_id, user_id), conversation_id, run_id)


class Sweeper:
    """Looks after the runs of all replicas."""

    def __init__(self, redis: Redis, repository: RunRepository, supervisor: Supervisor) -> None:
        self._redis, self._repository, self._supervisor = redis, repository, supervisor

    async def run(self) -> None:
        """Never returns."""
        await keep(self.step, log=_log, every_seconds=_EVERY_SECONDS, pauses_first=True)

    async def step(self) -> bool:
        """Look after up to a hundred runs that are due; whether there were as many. Raises Unavailable."""
        with redis_errors():
            members: Any = await self._redis.zrange(RUNNING, "-inf", to_ms(now()), byscore=True, offset=0, num=_AT_ONCE)
            held_ms = await self._held([_Due.of(member) for member in members])
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
                    lease = Keys(run.owner).lease(run.conversation_id)
                    pipeline.get(lease)
                    pipeline.pttl(lease)
                found = await pipeline.execute()
        holders, milliseconds = found[::2], found[1::2]
        return [
            (run, min(max(1, ms), _LONGEST_MS) if holder == run.run_id.encode() else None)
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
        status = await self._repository.end_if_abandoned(due.owner, due.run_id, due.conversation_id)
        return status not in UNENDED

    async def _note(self, held: list[tuple[_Due, int]], ended: list[_Due]) -> None:
        at = to_ms(now())
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                if held:
                    pipeline.zadd(RUNNING, {run.member: at + ms for run, ms in held}, xx=True)
                if ended:
                    pipeline.zrem(RUNNING, *[run.member for run in ended])
                await pipeline.execute()


@asynccontextmanager
async def open_sweeper(redis: Redis, repository: RunRepository, supervisor: Supervisor) -> AsyncIterator[Sweeper]:
    """A sweeper that looks after runs as long as the block runs."""
    sweeper = Sweeper(redis, repository, supervisor)
    async with in_background(sweeper.run()):
        yield sweeper
