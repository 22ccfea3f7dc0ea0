"""The use cases of the API: submit, read, list, cancel."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import ValidationError

from services.tasks.domain import TaskStatus
from services.tasks.errors import InputInvalid, InputTooLarge, RunAtTooFar, TaskFinished
from services.tasks.events import Done, tell
from services.tasks.filters import TaskFilter
from services.tasks.kinds.kind import Kind
from services.tasks.kinds.registry import KindRegistry
from services.tasks.models import IdempotencyKeyRow, Task
from services.tasks.repository import TaskRepository
from services.tasks.schemas import Submitted, TaskSubmit, TaskSummary
from services.tasks.submissions import Submissions
from services.tasks.visibility import submitter_of
from shared import telemetry
from shared.door import Once
from shared.errors import FieldProblem, Invalid, ServiceError, field_problems, problem_body
from shared.identity import Caller, deed
from shared.postgres import Database, EffectKey, IdempotencyKeys, Outbox
from shared.resources import CursorCodec, Slice
from shared.schemas import new_id

_MAX_DAYS_AHEAD = 366


class TaskService:
    """What a caller may do with their tasks, and with `tasks:tenant` with those of the others of their tenant.

    A task that the caller may not see is not there. Every method that asks the store may raise Unavailable.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        submissions: Submissions,
        kinds: KindRegistry,
        cursors: CursorCodec,
        *,
        max_input_bytes: int,
    ) -> None:
        self._database, self._outbox = database, outbox
        self._submissions, self._kinds, self._cursors = submissions, kinds, cursors
        self._max_input_bytes = max_input_bytes

    async def submit(self, caller: Caller, body: TaskSubmit, once: Once | None = None) -> Task:
        """The task, durably queued; for a repetition of `once` the one that was made, as it is now.

        Raises KindUnknown, MissingScope, InputTooLarge, InputInvalid, RunAtTooFar, IdempotencyKeyReused.
        """
        kind = self._kinds.get(body.kind)
        for scope in kind.scopes:
            caller.require(scope)
        now = datetime.now(UTC)
        if body.run_at and body.run_at > now + timedelta(days=_MAX_DAYS_AHEAD):
            raise RunAtTooFar(_MAX_DAYS_AHEAD)
        row = _new_row(caller, body, kind, self._checked_input(kind, body.input), now)
        earlier = await self._submissions.write(row, (once.digest, once.of) if once else None)
        if once is None or earlier is None:
            return Task(**row)
        once.found(earlier.of)
        return await self.get(caller, earlier.reference)

    async def submit_many(self, caller: Caller, given: Sequence[dict[str, Any]], once: Once | None) -> list[Submitted]:
        """What became of each. They share statements and a commit; each has a key of its own, made of the batch's.

        Raises IdempotencyKeyReused, Unavailable where the key cannot be stored.
        """
        if once is not None:
            await self._take_key(once)
        keys = [None if once is None else once.at(position) for position in range(len(given))]
        return await asyncio.gather(*(self._submitted(caller, one, key) for one, key in zip(given, keys, strict=True)))

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

    def _checked_input(self, kind: Kind[Any], given: dict[str, Any]) -> str:
        """The input as it is stored."""
        encoded = _encoded(given)
        if len(encoded) > self._max_input_bytes:
            raise InputTooLarge(len(encoded), self._max_input_bytes)
        try:
            kind.input_model.model_validate(given)
        except ValidationError as error:
            located = [{**one, "loc": ("body", "input", *one["loc"])} for one in error.errors()]
            raise InputInvalid(errors=field_problems(located)) from error
        return encoded.decode()

    async def get(self, caller: Caller, task_id: str) -> Task:
        """Raises TaskNotFound."""
        async with self._database.statements() as session:
            return await TaskRepository(session, caller.tenant_id, submitter_of(caller, task_id)).get(task_id)

    async def list_page(self, caller: Caller, wanted: TaskFilter, *, limit: int, cursor: str | None) -> Slice[Task]:
        """Newest first, without input and result. Raises Invalid for a cursor of another list."""
        user_id = submitter_of(caller)
        async with self._database.statements() as session:
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


def _validated(given: dict[str, Any]) -> TaskSubmit:
    """Raises Invalid, as the body of a submit would be refused."""
    try:
        return TaskSubmit.model_validate(given)
    except ValidationError as error:
        located = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise Invalid(errors=field_problems(located)) from error


def _encoded(given: dict[str, Any]) -> bytes:
    """Raises InputInvalid for what JSON proper cannot hold."""
    try:
        encoded = orjson.dumps(given)  # refuses lone surrogates, integers beyond 64 bits, nesting beyond 254
        if b"null" in encoded:  # which orjson makes of NaN and infinity too
            json.dumps(given, allow_nan=False)
    except (orjson.JSONEncodeError, ValueError) as error:
        problem = FieldProblem(pointer="/input", code="not_storable", detail=str(error))
        raise InputInvalid(errors=[problem]) from error
    return encoded


def _new_row(caller: Caller, body: TaskSubmit, kind: Kind[Any], encoded_input: str, now: datetime) -> dict[str, Any]:
    """A whole row: what is not given is null, so that all submits can share one statement."""
    trace: dict[str, str] = {}
    telemetry.inject(trace)
    run_at = max(body.run_at, now) if body.run_at else now
    row = dict.fromkeys(Task.__table__.columns.keys())
    return row | {
        "id": new_id(),
        "tenant_id": caller.tenant_id,
        "user_id": caller.subject,
        "scopes": sorted(caller.scopes),
        "key_id": caller.key_id,
        "session_id": caller.session_id,
        "kind": kind.name,
        "priority": body.priority.value,
        "input": encoded_input,
        "status": TaskStatus.QUEUED.value,
        "dead_letter": False,
        "progress_done": 0,
        "attempt": 0,
        "interruptions": 0,
        "max_attempts": body.max_attempts or kind.max_attempts,
        "timeout_seconds": body.timeout_seconds or kind.timeout_seconds,
        "run_at": run_at,
        "enqueued_at": now if run_at <= now else None,
        "traceparent": trace.get("traceparent"),
        "version": 1,
        "created_at": now,
        "event_number": 0,
        "log_lines": 0,
        "log_dropped": 0,
    }
