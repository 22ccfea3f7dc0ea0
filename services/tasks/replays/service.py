"""Replaying and discarding what failed: for the API, and for the task that replays many."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.backlog import held_back
from services.tasks.domain import TaskStatus, Ticket
from services.tasks.errors import TaskNotFailed, TaskSettled
from services.tasks.events import Done, tell
from services.tasks.kinds.registry import KindRegistry
from services.tasks.models import IdempotencyKeyRow, Task
from services.tasks.queues import Queues
from services.tasks.replays.rows import Replayer, replay_of
from services.tasks.repository import DeadLetters, TaskRepository, stand_in_line
from services.tasks.visibility import submitter_of
from shared.door import Once
from shared.identity import Caller, Deed, deed
from shared.postgres import Database, EffectKey, IdempotencyKeys, Outbox
from shared.schemas import new_id


class ReplayService:
    """A failed task is settled once: replayed, or discarded. It stays as it ended, and names what became of it."""

    def __init__(self, database: Database, outbox: Outbox, queues: Queues, kinds: KindRegistry) -> None:
        self._database, self._outbox, self._queues, self._kinds = database, outbox, queues, kinds

    async def replay(self, caller: Caller, task_id: str, once: Once | None = None) -> Task:
        """The new task, durably queued; for a repetition of `once` the one that was made, as it is now.

        Raises TaskNotFound, TaskNotFailed, TaskSettled, KindUnknown, MissingScope, IdempotencyKeyReused, Unavailable.
        """
        by, new = Replayer.of(caller), new_id()
        async with self._database.transaction() as session:
            tasks = TaskRepository(session, caller.tenant_id, submitter_of(caller, task_id))
            if once:
                keys = IdempotencyKeys(session, IdempotencyKeyRow)
                kept = (await keys.take([EffectKey(once.digest, once.of, new)]))[once.digest]
                if kept.reference != new:
                    once.found(kept.of)
                    return await tasks.get(kept.reference)
            row = await self.replay_in(session, tasks, by, task_id, new, deed(caller, Done.REPLAYED, task_id))
        self._outbox.notify()
        return Task(**row)

    async def replay_in(
        self, session: AsyncSession, tasks: TaskRepository, by: Replayer, task_id: str, new: str, told: Deed
    ) -> dict[str, Any]:
        """The row of the new task with the id `new`, in the transaction of `session`; who commits notifies the outbox.

        Raises TaskNotFound, TaskNotFailed, TaskSettled, KindUnknown, MissingScope.
        """
        dead = await _unsettled(tasks, task_id)
        kind = self._kinds.get(dead.kind)
        for scope in kind.scopes:
            by.require(scope)
        row = replay_of(dead, kind, by, new, datetime.now(UTC))
        if dead.concurrency_key is not None:
            await stand_in_line(session, row)
        await tasks.settle(task_id, replayed_as=new)
        (row,) = await held_back(session, [row], but=self._kinds.limits)
        connection = await session.connection()
        await connection.execute(insert(Task), [row])
        if row["enqueued_at"] is not None:
            ticket = Ticket(row["id"], row["tenant_id"], row["user_id"], row["kind"])
            self._outbox.add(session, **self._queues.message(ticket, row["priority"]))
        tell(self._outbox, session, told)
        return row

    async def discard(self, caller: Caller, task_id: str) -> Task:
        """The task, of which nothing is to follow. Raises TaskNotFound, TaskNotFailed, TaskSettled, Unavailable."""
        async with self._database.transaction() as session:
            tasks = TaskRepository(session, caller.tenant_id, submitter_of(caller, task_id))
            await _unsettled(tasks, task_id)
            task = await tasks.settle(task_id, discarded_at=datetime.now(UTC))
            tell(self._outbox, session, deed(caller, Done.DISCARDED, task_id))
        self._outbox.notify()
        return task

    async def count(self, caller: Caller) -> DeadLetters:
        """What failed and nobody has settled, by kind and error. Raises Unavailable."""
        async with self._database.session() as session:
            return await TaskRepository(session, caller.tenant_id, submitter_of(caller)).count_unsettled()


async def _unsettled(tasks: TaskRepository, task_id: str) -> Task:
    """The failed task, held until the end of the transaction: of two at once the second finds it settled."""
    task = await tasks.get(task_id, hold=True)
    if task.status != TaskStatus.FAILED:
        raise TaskNotFailed(task.status)
    if task.replayed_as or task.discarded_at:
        raise TaskSettled(task.replayed_as)
    return task
