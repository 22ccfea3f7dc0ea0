"""Writes accepted tasks, many at a time: submits that arrive while a commit is under way share the next one.

A commit costs the same for one row as for a hundred. One submit alone waits for nobody.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert

from services.tasks.models import Task
from services.tasks.queues import Queues
from shared.errors import ServiceError, Unavailable
from shared.postgres import Database, Outbox

_log = logging.getLogger("tasks.submissions")
_BATCH = 500


@dataclass(slots=True)
class _Pending:
    task: dict[str, Any]
    message: dict[str, Any] | None
    written: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Submissions:
    """Task rows on their way into the database, each with the message that sends a worker to it."""

    def __init__(self, database: Database, outbox: Outbox, queues: Queues, *, max_waiting: int) -> None:
        self._database, self._outbox, self._queues = database, outbox, queues
        self._max_waiting = max_waiting
        self._waiting: list[_Pending] = []
        self._arrived = asyncio.Event()

    async def write(self, task: dict[str, Any]) -> None:
        """Returns once the task, and its message unless it is due later, are committed in one transaction.

        Raises Unavailable when they could not be, or when too many submits wait already.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("tasks", detail="Too many submits at once; try again in a moment.")
        due = task["enqueued_at"] is not None
        message = self._outbox.compose(**self._queues.message(task["id"], task["priority"])) if due else None
        pending = _Pending(task, message)
        self._waiting.append(pending)
        self._arrived.set()
        await pending.written

    async def run(self) -> None:
        """Never returns; started and cancelled with the service.

        Not by `shared.loops.keep`, which goes by a clock: nothing is due here until a submit arrives, and a failure
        is raised again where that submit waits instead of being tried again.
        """
        while True:
            await self._arrived.wait()
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            if not self._waiting:
                self._arrived.clear()
            await self._settle(batch)

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
                pending.written.set_result(None)
            else:
                pending.written.set_exception(failure)

    async def _try_insert(self, batch: Sequence[_Pending]) -> Exception | None:
        messages = [pending.message for pending in batch if pending.message is not None]
        try:
            async with self._database.transaction() as session:
                connection = await session.connection()
                await connection.execute(insert(Task), [pending.task for pending in batch])
                if messages:
                    await connection.execute(insert(self._outbox.table), messages)
        except Exception as error:  # noqa: BLE001 - raised again where each submit waits
            return error
        if messages:
            self._outbox.notify()
        return None
