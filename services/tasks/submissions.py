"""Writes accepted tasks, many at a time: submits that arrive while a commit is under way share the next one.

A commit costs the same for one row as for a hundred. One submit alone waits for nobody. The idempotency key of a submit
is stored in the same transaction; where it is there already, the task is not written again.
"""

import asyncio
import itertools
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.backlog import held_back
from services.tasks.domain import Ticket
from services.tasks.models import IdempotencyKeyRow, Task
from services.tasks.queues import Queues
from shared import telemetry
from shared.errors import ServiceError, Unavailable
from shared.postgres import Database, EffectKey, IdempotencyKeys, Outbox
from shared.telemetry import conventions

_log = logging.getLogger("tasks.submissions")
_BATCH = 500
_BATCH_CHARS = 4 * 2**20  # of inputs in one statement, which has its seconds: each may have a MiB
_INSERT = {conventions.DB_SYSTEM: "postgresql", conventions.DB_OPERATION: "INSERT"}


@dataclass(slots=True)
class _Pending:
    task: dict[str, Any]
    key: EffectKey | None
    earlier: EffectKey | None = None
    written: asyncio.Future[EffectKey | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Submissions:
    """Task rows on their way into the database, each with the message that sends a worker to it.

    Those of a kind in `limited`, of which only so many run at once, are sent by others.
    """

    def __init__(
        self, database: Database, outbox: Outbox, queues: Queues, limited: Collection[str], *, max_waiting: int
    ) -> None:
        self._database, self._outbox, self._queues = database, outbox, queues
        self._limited, self._max_waiting = limited, max_waiting
        self._waiting: list[_Pending] = []
        self._arrived = asyncio.Event()

    async def write(self, task: dict[str, Any], once: tuple[bytes, bytes] | None = None) -> EffectKey | None:
        """Returns once the task, and its message unless it is to wait, are committed in one transaction.

        With `once`, the digest and the request of its key, nothing is written where that key is there already; then
        this answers what it was stored with.

        Raises Unavailable when they could not be committed, or when too many submits wait already.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("tasks", detail="Too many submits at once; try again in a moment.")
        pending = _Pending(task, EffectKey(*once, task["id"]) if once else None)
        self._waiting.append(pending)
        self._arrived.set()
        with telemetry.span("INSERT task", telemetry.SpanKind.CLIENT, _INSERT):  # which is done for many at once
            return await pending.written

    def _message(self, task: dict[str, Any]) -> dict[str, Any]:
        ticket = Ticket(task["id"], task["tenant_id"], task["user_id"], task["kind"])
        return self._outbox.compose(**self._queues.message(ticket, task["priority"], task["traceparent"]))

    async def run(self) -> None:
        """Never returns; started and cancelled with the service.

        Not by `shared.loops.keep`, which goes by a clock: nothing is due here until a submit arrives, and a failure
        is raised again where that submit waits instead of being tried again.
        """
        while True:
            await self._arrived.wait()
            batch = self._next()
            if not self._waiting:
                self._arrived.clear()
            await self._settle(batch)

    def _next(self) -> list[_Pending]:
        """Those that have waited longest, as many as one statement takes, and one at least: they wait no more."""
        ends = itertools.accumulate(len(one.task["input"]) for one in self._waiting[:_BATCH])
        number = max(1, sum(end <= _BATCH_CHARS for end in ends))
        batch, self._waiting = self._waiting[:number], self._waiting[number:]
        return batch

    async def _settle(self, batch: Sequence[_Pending]) -> None:
        """Write `batch` and tell each submit how it went."""
        failure = await self._try_insert(batch)
        if failure is not None and not isinstance(failure, ServiceError) and len(batch) > 1:
            for pending in batch:  # one bad row must not take its neighbours along
                await self._settle([pending])
            return
        for pending in batch:
            if pending.written.done():  # its caller has gone
                continue
            if failure is None:
                pending.written.set_result(pending.earlier)
            else:
                pending.written.set_exception(failure)

    async def _try_insert(self, batch: Sequence[_Pending]) -> Exception | None:
        try:
            async with self._database.transaction() as session:
                await _take_keys(session, [pending for pending in batch if pending.key])
                new = [pending for pending in batch if pending.earlier is None]
                rows = await held_back(session, [pending.task for pending in new], but=self._limited)
                messages = [self._message(row) for row in rows if row["enqueued_at"] is not None]
                connection = await session.connection()
                if new:
                    await connection.execute(insert(Task), rows)
                if messages:
                    await connection.execute(insert(self._outbox.table), messages)
        except Exception as error:  # noqa: BLE001 - raised again where each submit waits
            return error
        if messages:
            self._outbox.notify()
        return None


async def _take_keys(session: AsyncSession, keyed: Sequence[_Pending]) -> None:
    """Mark those whose task is there already, of an earlier submit or of another one in this batch."""
    if not keyed:
        return
    stored = await IdempotencyKeys(session, IdempotencyKeyRow).take([one.key for one in keyed if one.key])
    for one in keyed:
        assert one.key is not None  # noqa: S101 - they are those that have one
        kept = stored[one.key.digest]
        one.earlier = None if kept == one.key else kept
