"""The use cases of the API: submit, read, list, cancel."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from services.tasks.errors import RunAtTooFar, StartsTooLate, TaskFinished
from services.tasks.events import Done, tell
from services.tasks.filters import TaskFilter
from services.tasks.flows import Flows, Order
from services.tasks.instruments import Submits
from services.tasks.kinds.kind import Kind
from services.tasks.kinds.registry import KindRegistry
from services.tasks.models import IdempotencyKeyRow, Task
from services.tasks.repository import TaskRepository
from services.tasks.rows import authority_of, checked_input, new_row, require_scopes
from services.tasks.schemas import Submitted, TaskSubmit, TaskSummary
from services.tasks.submissions import Submissions
from services.tasks.visibility import submitter_of
from shared import telemetry
from shared.door import Once
from shared.errors import Invalid, ServiceError, field_problems, problem_body
from shared.identity import Caller, deed
from shared.postgres import Database, EffectKey, IdempotencyKeys, Outbox
from shared.resources import CursorCodec, Slice
from shared.schemas import new_id

_MAX_DAYS_AHEAD = 366
_ORDERED_AT_ONCE = 5  # of a batch: they do not share a commit, and others wait for a place beside them
_ORDERED_BY = ("after", "concurrency", "parent_id")


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
        submits: Submits,
        *,
        max_input_bytes: int,
    ) -> None:
        self._database, self._outbox, self._submits = database, outbox, submits
        self._submissions, self._flows, self._kinds, self._cursors = submissions, flows, kinds, cursors
        self._max_input_bytes = max_input_bytes

    async def submit(self, caller: Caller, body: TaskSubmit, once: Once | None = None) -> Task:
        """The task, durably queued; for a repetition of `once` the one that was made, as it is now.

        Raises KindUnknown, MissingScope, InputTooLarge, InputInvalid, RunAtTooFar, StartsTooLate, IdempotencyKeyReused,
        TaskNotFound, KeyBusy, LineFull, TooManyFollowers, ShareTaken.
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
            earlier = await self._flows.write(caller, submitter_of(caller), row, order, key)
        else:
            earlier = await self._submissions.write(row, key)
        self._submits.accepted(kind.name, is_new=earlier is None)
        if once is None or earlier is None:
            return Task(**row)
        once.found(earlier.of)
        return await self.get(caller, earlier.reference)

    async def submit_many(self, caller: Caller, given: Sequence[dict[str, Any]], once: Once | None) -> list[Submitted]:
        """What became of each. Those that want nothing of others share statements and a commit.

        Each has an idempotency key of its own, made of the batch's. Of one concurrency key they are taken in order.

        Raises IdempotencyKeyReused, Unavailable where the key cannot be stored.
        """
        if once is not None:
            await self._take_key(once)
        keys = [None if once is None else once.at(position) for position in range(len(given))]
        results: dict[int, Submitted] = {}
        places = asyncio.Semaphore(_ORDERED_AT_ONCE)

        async def submit_in_turn(positions: Sequence[int]) -> None:
            for position in positions:
                async with places if _is_ordered(given[position]) else nullcontext():
                    results[position] = await self._submitted(caller, given[position], keys[position])

        await asyncio.gather(*(submit_in_turn(positions) for positions in _lines(given)))
        return [results[position] for position in range(len(given))]

    async def _take_key(self, once: Once) -> None:
        """Stored before the tasks, so that another batch under it is refused whole. Raises IdempotencyKeyReused."""
        own = EffectKey(once.digest, once.of, new_id())
        async with self._database.transaction() as session:
            kept = (await IdempotencyKeys(session, IdempotencyKeyRow).take([own]))[once.digest]
        if kept != own:
            once.found(kept.of)

    async def _submitted(self, caller: Caller, given: dict[str, Any], once: Once | None) -> Submitted:
        try:
            task = await self.submit(caller, _validated(given), once)
        except ServiceError as error:
            problem = problem_body(error, instance="/api/v1/tasks/submit", trace_id=telemetry.current_trace_id())
            return Submitted(status=error.status, problem=problem)
        return Submitted(status=202, task=TaskSummary.of(task))

    async def get(self, caller: Caller, task_id: str) -> Task:
        """Raises TaskNotFound."""
        async with self._database.statements() as session:
            return await TaskRepository(session, caller.tenant_id, submitter_of(caller, task_id)).get(task_id)

    async def list_page(self, caller: Caller, wanted: TaskFilter, *, limit: int, cursor: str | None) -> Slice[Task]:
        """Newest first, without input and result. Raises Invalid for a cursor of another list."""
        user_id = submitter_of(caller)
        async with self._database.session() as session:
            tasks = TaskRepository(session, caller.tenant_id, user_id)
            return await self._cursors.slice(
                lambda after, most: tasks.list_newest(wanted, after=after, limit=most),
                key=lambda task: task.id,
                scope=["tasks", caller.tenant_id, user_id, *wanted.members()],
                limit=limit,
                cursor=cursor,
            )

    async def cancel(self, caller: Caller, task_id: str) -> Task:
        """The task, cancelled or asked to stop. Raises TaskNotFound, TaskFinished."""
        async with self._database.transaction() as session:
            tasks = TaskRepository(session, caller.tenant_id, submitter_of(caller, task_id))
            task = await tasks.cancel(task_id)
            if task is None:
                raise TaskFinished((await tasks.get(task_id)).status)
            tell(self._outbox, session, deed(caller, Done.CANCELLED, task_id))
        self._outbox.notify()
        return task

    def list_kinds(self) -> list[Kind[Any]]:
        """By name."""
        return self._kinds.list()


def _lines(given: Sequence[dict[str, Any]]) -> list[list[int]]:
    """Which tasks of a batch have one concurrency key, by their positions; a task without one is alone."""
    lines: dict[str | int, list[int]] = {}
    for position, one in enumerate(given):
        concurrency = one.get("concurrency")
        key = concurrency.get("key") if isinstance(concurrency, dict) else None
        lines.setdefault(key if isinstance(key, str) else position, []).append(position)
    return list(lines.values())


def _is_ordered(given: dict[str, Any]) -> bool:
    return any(given.get(name) is not None for name in _ORDERED_BY)


def _validated(given: dict[str, Any]) -> TaskSubmit:
    """Raises Invalid, as the body of a submit would be refused."""
    try:
        return TaskSubmit.model_validate(given)
    except ValidationError as error:
        located = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise Invalid(errors=field_problems(located)) from error


def _order(body: TaskSubmit) -> Order:
    order = Order(parent_id=body.parent_id)
    if body.after:
        order = replace(order, after=frozenset(body.after.ids), on=body.after.on)
    if body.concurrency:
        order = replace(order, key=body.concurrency.key, on_conflict=body.concurrency.on_conflict)
    return order
