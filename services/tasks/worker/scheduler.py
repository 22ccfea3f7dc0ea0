"""Makes tasks of schedules that are due. Every worker runs it; a schedule is one worker's at a time.

The task, its message and the schedule's next moment are one transaction, and a moment has one task (`uq_task_moment`):
so a worker that is killed leaves either all of it or nothing, and nothing comes twice. Each schedule has a transaction
of its own: one whose tasks the database does not take holds up no other.
"""

import asyncio
import logging
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import ValidationError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.backlog import held_back
from services.tasks.domain import Ticket
from services.tasks.kinds.registry import KindRegistry
from services.tasks.models import Schedule, Task
from services.tasks.queues import Queues
from services.tasks.rows import new_row
from services.tasks.schedules.clock import CatchUp, due
from services.tasks.schedules.repository import hold, take_due
from shared.errors import Invalid, Unavailable
from shared.loops import keep
from shared.postgres import Database, Outbox

_log = logging.getLogger("tasks.worker")
_BATCH = 20
_PART_BYTES = 4 * 2**20  # of inputs in a transaction: a hundred moments made up for may have a MiB each
_ASIDE_SECONDS = 30.0


class Scheduler:
    """One look after another, for as long as the worker lives."""

    def __init__(
        self, database: Database, outbox: Outbox, queues: Queues, kinds: KindRegistry, *, every_seconds: float
    ) -> None:
        self._database, self._outbox, self._queues, self._kinds = database, outbox, queues, kinds
        self._every_seconds = every_seconds
        self._aside: dict[str, float] = {}  # until when a schedule is left alone, after the database did not take it

    async def run(self) -> None:
        """Never returns."""
        await keep(self.look, log=_log, every_seconds=self._every_seconds, retry_seconds=self._every_seconds)

    async def look(self) -> bool:
        """See to some of those that are due; whether there may be more. Raises Unavailable."""
        for _ in range(_BATCH):
            if not await self._see_to_next():
                return False
        return True

    async def _see_to_next(self) -> bool:
        """Whether there was one. Raises Unavailable, and then leaves that one alone for a while."""
        known = [kind.name for kind in self._kinds.list()]  # of another kind a worker sees to it that has it
        now = time.monotonic()
        self._aside = {schedule_id: until for schedule_id, until in self._aside.items() if until > now}
        schedule_id: str | None = None
        try:
            async with self._database.transaction() as session:
                schedule = await take_due(session, known, but=list(self._aside))
                if schedule is None:
                    return False
                schedule_id = schedule.id
                await self._fire(session, schedule)
        except Exception as error:
            if schedule_id is None:
                raise
            if isinstance(error, Unavailable):
                self._aside[schedule_id] = now + _ASIDE_SECONDS
                raise
            await self._pause_failed(schedule_id, error)
        else:
            self._outbox.notify()
        return True

    async def _pause_failed(self, schedule_id: str, error: Exception) -> None:
        """In a transaction of its own: the one that failed left nothing behind. Raises Unavailable."""
        async with self._database.transaction() as session:
            if schedule := await hold(session, schedule_id):
                _pause_for_reason_unknown(schedule, error)

    async def _fire(self, session: AsyncSession, schedule: Schedule) -> None:
        kind = self._kinds.get(schedule.kind)
        try:
            kind.input_model.model_validate(orjson.loads(schedule.input))
            moments = await self._moments(schedule)
        except ValidationError:
            pause(schedule, "tasks.input_invalid", "The input no longer fits this kind of task.")
        except Invalid as error:  # a time zone that is no more
            pause(schedule, error.code, error.detail)
        except Exception as error:  # noqa: BLE001 - one that nobody foresaw must not hold up all others
            _pause_for_reason_unknown(schedule, error)
        else:
            now = datetime.now(UTC)
            due = [self._row(schedule, moment, now) for moment in moments]
            rows = await held_back(session, due, but=self._kinds.limits)
            made = await _insert(session, rows) if rows else set()
            for row in rows:
                if row["enqueued_at"] is not None and row["id"] in made:
                    ticket = Ticket(row["id"], row["tenant_id"], row["user_id"], row["kind"])
                    self._outbox.add(session, **self._queues.message(ticket, row["priority"]))

    async def _moments(self, schedule: Schedule) -> list[datetime]:
        """Those that count, up to now; the schedule is then due at the next one, or over. Raises Invalid.

        Of many with a large input the oldest: it stays due, at the first of the others.
        """
        assert schedule.next_at is not None  # noqa: S101 - it is due
        catch_up = CatchUp(schedule.catch_up)
        when = (schedule.cron, schedule.time_zone, catch_up, schedule.next_at, datetime.now(UTC), schedule.ends_at)
        found = await asyncio.to_thread(due, *when)
        most = max(1, _PART_BYTES // len(schedule.input.encode()))
        moments, others = found.moments[:most], found.moments[most:]
        schedule.next_at = others[0] if others else found.next_at
        return moments

    def _row(self, schedule: Schedule, moment: datetime, now: datetime) -> dict[str, Any]:
        jitter = timedelta(seconds=random.uniform(0, schedule.jitter_seconds))
        names = ("tenant_id", "user_id", "scopes", "key_id", "session_id", "input", "priority")
        copied = {name: getattr(schedule, name) for name in names}
        made = {"schedule_id": schedule.id, "due_at": moment}
        return new_row(self._kinds.get(schedule.kind), now, moment + jitter, **copied, **made)


async def _insert(session: AsyncSession, rows: list[dict[str, Any]]) -> set[str]:
    """The ids of those that are new: a moment that has its task gets no other, though the clocks of machines differ."""
    statement = (
        insert(Task)
        .values(rows)
        .on_conflict_do_nothing(
            index_elements=[Task.schedule_id, Task.due_at],
            index_where=Task.schedule_id.is_not(None) & Task.due_at.is_not(None),
        )
    )
    return set((await session.scalars(statement.returning(Task.id))).all())


def pause(schedule: Schedule, code: str, detail: str) -> None:
    """Until a person resumes it, who reads why."""
    schedule.is_paused, schedule.error_code, schedule.error_detail = True, code, detail
    schedule.version += 1


def _pause_for_reason_unknown(schedule: Schedule, error: Exception) -> None:
    _log.error("a schedule failed", exc_info=error, extra={"fields": {"schedule_id": schedule.id}})
    pause(schedule, "tasks.internal", "The schedule failed for a reason of our own; the logs have it.")
