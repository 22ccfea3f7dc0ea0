"""The use cases of the API: submit, read, list, cancel."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.tasks.domain import TaskStatus
from services.tasks.errors import RunAtTooFar, StartsTooLate, TaskFinished
from services.tasks.events import Done, tell
from services.tasks.flows import Flows, Order
from services.tasks.kinds.kind import Kind
from services.tasks.kinds.registry import KindRegistry
from services.tasks.models import Task
from services.tasks.repository import TaskRepository
from services.tasks.rows import authority_of, checked_input, new_row, require_scopes
from services.tasks.schemas import TaskSubmit
from services.tasks.submissions import Submissions
from shared.door import Once
from shared.identity import Caller, deed
from shared.postgres import Database, Outbox
from shared.resources import CursorCodec, Slice

_MAX_DAYS_AHEAD = 366
_OF_THE_TENANT = "tasks:tenant"
"""The scope of who may see and cancel what others of the tenant submitted."""


class TaskService:
    """What a caller may do with their tasks, and with `tasks:tenant` with those of the others of their tenant.

    A task that the caller may not see is not there. Every method that asks the store may raise Unavailable.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        submissions: Submissions,
        flows: Flows,
        kinds: KindRegistry,
        cursors: CursorCodec,
        *,
        max_input_bytes: int,
    ) -> None:
        self._database, self._outbox = database, outbox
        self._submissions, self._flows, self._kinds, self._cursors = submissions, flows, kinds, cursors
        self._max_input_bytes = max_input_bytes

    async def submit(self, caller: Caller, body: TaskSubmit, once: Once | None = None) -> Task:
        """The task, durably queued; for a repetition of `once` the one that was made, as it is now.

        Raises KindUnknown, MissingScope, InputTooLarge, InputInvalid, RunAtTooFar, StartsTooLate, IdempotencyKeyReused,
        TaskNotFound, KeyBusy.
        """
        kind = self._kinds.get(body.kind)
        require_scopes(caller, kind.scopes)
        now = datetime.now(UTC)
        if body.run_at and body.run_at > now + timedelta(days=_MAX_DAYS_AHEAD):
            raise RunAtTooFar(_MAX_DAYS_AHEAD)
        if body.start_before and body.start_before <= max(now, body.run_at or now):
            raise StartsTooLate
        row = new_row(
            kind,
            now,
            body.run_at,
            **authority_of(caller),
            input=checked_input(kind, body.input, self._max_input_bytes),
            priority=body.priority.value,
            max_attempts=body.max_attempts or (body.retry.max_attempts if body.retry else None),
            retry=body.retry.model_dump(exclude_none=True, mode="json") if body.retry else None,
            start_before=body.start_before,
            timeout_seconds=body.timeout_seconds,
        )
        key = (once.digest, once.of) if once else None
        if order := _order(body):
            earlier = await self._flows.write(caller, _submitter(caller), row, order, key)
        else:
            earlier = await self._submissions.write(row, key)
        if once is None or earlier is None:
            return Task(**row)
        once.found(earlier.of)
        return await self.get(caller, earlier.reference)

    async def get(self, caller: Caller, task_id: str) -> Task:
        """Raises TaskNotFound."""
        async with self._database.statements() as session:
            return await TaskRepository(session, caller.tenant_id, _submitter(caller, task_id)).get(task_id)

    async def list_page(
        self,
        caller: Caller,
        *,
        status: TaskStatus | None,
        kind: str | None,
        parent_id: str | None,
        limit: int,
        cursor: str | None,
    ) -> Slice[Task]:
        """Newest first, without input and result. Raises Invalid for a cursor of another list."""
        submitter = _submitter(caller)
        async with self._database.statements() as session:
            tasks = TaskRepository(session, caller.tenant_id, submitter)
            return await self._cursors.slice(
                lambda after, most: tasks.list_newest(
                    status=status, kind=kind, parent_id=parent_id, after=after, limit=most
                ),
                key=lambda task: task.id,
                scope=["tasks", caller.tenant_id, submitter, status, kind, parent_id],
                limit=limit,
                cursor=cursor,
            )

    async def cancel(self, caller: Caller, task_id: str) -> Task:
        """The task, cancelled or asked to stop. Raises TaskNotFound, TaskFinished."""
        async with self._database.transaction() as session:
            tasks = TaskRepository(session, caller.tenant_id, _submitter(caller, task_id))
            task = await tasks.cancel(task_id)
            if task is None:
                raise TaskFinished((await tasks.get(task_id)).status)
            tell(self._outbox, session, deed(caller, Done.CANCELLED, task_id))
        self._outbox.notify()
        return task

    def list_kinds(self) -> list[Kind[Any]]:
        """By name."""
        return self._kinds.list()


def _order(body: TaskSubmit) -> Order:
    order = Order(parent_id=body.parent_id)
    if body.after:
        order = replace(order, after=frozenset(body.after.ids), on=body.after.on)
    if body.concurrency:
        order = replace(order, key=body.concurrency.key, on_conflict=body.concurrency.on_conflict)
    return order


def _submitter(caller: Caller, task_id: str | None = None) -> str | None:
    """Whose tasks the caller may see: their own, or everybody's of the tenant (None)."""
    return None if caller.allows(_OF_THE_TENANT, task_id) else caller.subject
