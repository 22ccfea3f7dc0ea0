"""Writes tasks that stand in some order to others: after them, one at a time with them, or beneath one.

Each has a transaction of its own, and not a part in one with others as `submissions` have: it holds still what it waits
for, so that none of that ends unseen. What has ended counts at once. A cycle cannot be: a task waits for what is there.
"""

import asyncio
import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.backlog import held_back
from services.tasks.domain import TRANSITIONS, After, OnConflict, TaskStatus, Ticket
from services.tasks.errors import KeyBusy, LineFull, TaskNotFound, TooManyFollowers
from services.tasks.events import Done, tell
from services.tasks.models import IdempotencyKeyRow, Task, TaskDependency
from services.tasks.queues import Queues
from services.tasks.repository import TaskRepository, stand_in_line
from shared.errors import Unavailable
from shared.identity import Caller, deed
from shared.limits import Shares
from shared.postgres import Database, EffectKey, IdempotencyKeys, Outbox, is_deadlock

# Of those who submit to one key one is first: before they look at its tasks, which whoever ends one has locked by then.
_TAKE_TURN = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:name AS text), 0))")

_AT_ONCE = 5  # of a process: who waits for a key has a connection meanwhile, and others need some
_MOST_WAITING = 500
_MOST_AFTER_ONE = 10_000  # or a few more, of many at once: all are let go by the statement that ends it
_MOST_IN_LINE = 10_000  # and what is replayed: one statement cancels them all, and tells of each
_MORE_TRIES = 4
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Order:
    """What a task wants of others."""

    after: frozenset[str] = frozenset()
    on: After = After.SUCCESS
    key: str | None = None
    on_conflict: OnConflict = OnConflict.QUEUE
    parent_id: str | None = None

    def __bool__(self) -> bool:
        return bool(self.after or self.key is not None or self.parent_id)


class Flows:
    """Built once. `submitter` is whose tasks the caller may see and cancel: theirs, or all of the tenant (None)."""

    def __init__(self, database: Database, outbox: Outbox, queues: Queues, limited: Collection[str]) -> None:
        self._database, self._outbox, self._queues, self._limited = database, outbox, queues, limited
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._places = Shares("submits that want something of other tasks", _MOST_WAITING)

    async def write(
        self, caller: Caller, submitter: str | None, row: dict[str, Any], order: Order, once: tuple[bytes, bytes] | None
    ) -> EffectKey | None:
        """As `Submissions.write`; `row` says afterwards what it waits for.

        Raises TaskNotFound for another task that the caller may not see, KeyBusy, LineFull, TooManyFollowers,
        ShareTaken, Unavailable.
        """
        place = self._places.take(caller.tenant_id, caller.subject)
        if place is None:
            raise Unavailable("tasks", retry_after_seconds=1, detail="Too many submits at once; try again in a moment.")
        try:
            async with self._turns:
                return await self._insist(caller, submitter, row, order, once)
        finally:
            place.give_back()

    async def _insist(
        self, caller: Caller, submitter: str | None, row: dict[str, Any], order: Order, once: tuple[bytes, bytes] | None
    ) -> EffectKey | None:
        """Again after a deadlock, as of two that each cancel what the other waits for: then one finds it cancelled."""
        for _ in range(_MORE_TRIES):
            try:
                return await self._write(caller, submitter, row, order, once)
            except Unavailable as error:
                if not is_deadlock(error.__cause__):
                    raise
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS))
        return await self._write(caller, submitter, row, order, once)

    async def _write(
        self, caller: Caller, submitter: str | None, row: dict[str, Any], order: Order, once: tuple[bytes, bytes] | None
    ) -> EffectKey | None:
        given, row = row, dict(row)
        async with self._database.transaction() as session:
            if once is not None:
                wanted = EffectKey(*once, row["id"])
                stored = (await IdempotencyKeys(session, IdempotencyKeyRow).take([wanted]))[wanted.digest]
                if stored != wanted:
                    return stored
            tasks = TaskRepository(session, caller.tenant_id, submitter)
            if order.parent_id is not None:
                row["parent_id"] = (await tasks.get(order.parent_id)).id
            if order.key is not None:
                await session.execute(_TAKE_TURN, {"name": f"tasks.line:{caller.tenant_id}:{order.key}"})
            await tasks.hold_still(order.after)  # before the key is taken, as by whoever ends one of them
            if order.key is not None:
                await self._take_place(session, tasks, caller, row, order)
            waits = await self._after(tasks, row, order) if order.after else []
            await self._insert(session, row, waits)
        given.update(row)  # where it is kept: another try begins with what was given
        self._outbox.notify()
        return None

    async def _after(self, tasks: TaskRepository, row: dict[str, Any], order: Order) -> list[dict[str, Any]]:
        states = await tasks.hold_still(order.after)
        if len(states) < len(order.after):
            raise TaskNotFound
        needs_success = order.on is After.SUCCESS
        pending = [task_id for task_id, status in states.items() if TRANSITIONS[status]]
        if crowded := await tasks.find_crowded(pending, _MOST_AFTER_ONE):
            raise TooManyFollowers(crowded, _MOST_AFTER_ONE)
        failed = [status for status in states.values() if not TRANSITIONS[status] and status != TaskStatus.SUCCEEDED]
        row["dependency_failed"] = needs_success and bool(failed)
        row["waiting_for"] = len(pending) + (len(failed) if needs_success else 0)
        return [{"after_id": one, "task_id": row["id"], "needs_success": needs_success} for one in pending]

    async def _take_place(
        self, session: AsyncSession, tasks: TaskRepository, caller: Caller, row: dict[str, Any], order: Order
    ) -> None:
        """In the line of its key, behind all that have not ended."""
        key = row["concurrency_key"] = str(order.key)
        if order.on_conflict is OnConflict.CANCEL_OLDEST:
            for task_id in await tasks.cancel_key(key):
                tell(self._outbox, session, deed(caller, Done.CANCELLED, task_id))
        await stand_in_line(session, row)
        if row["waits_for_key"] and order.on_conflict is OnConflict.REFUSE:
            raise KeyBusy
        if row["waits_for_key"] and await tasks.is_line_full(key, _MOST_IN_LINE):
            raise LineFull(_MOST_IN_LINE)

    async def _insert(self, session: AsyncSession, row: dict[str, Any], waits: list[dict[str, Any]]) -> None:
        if row["waiting_for"]:
            row["enqueued_at"] = None
        (written,) = await held_back(session, [row], but=self._limited)
        await session.execute(insert(Task), [written])
        if waits:
            await session.execute(insert(TaskDependency), waits)
        if written["enqueued_at"] is not None:
            ticket = Ticket(row["id"], row["tenant_id"], row["user_id"], row["kind"])
            self._outbox.add(session, **self._queues.message(ticket, row["priority"]))
