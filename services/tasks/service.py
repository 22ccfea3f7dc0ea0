"""The use cases of the API: submit, read, list, cancel."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import ValidationError

from services.tasks.domain import TaskStatus
from services.tasks.errors import InputInvalid, InputTooLarge, RunAtTooFar, TaskFinished, TaskNotFound
from services.tasks.kinds.kind import Kind
from services.tasks.kinds.registry import KindRegistry
from services.tasks.models import Task
from services.tasks.repository import TaskRepository
from services.tasks.schemas import KindRead, TaskRead, TaskSubmit, TaskSummary
from services.tasks.submissions import Submissions
from services.tasks.views import read, summarise
from shared import telemetry
from shared.errors import FieldProblem, field_problems
from shared.identity import Caller
from shared.resources import CursorCodec, Page, cut
from shared.schemas import new_id

_MAX_DAYS_AHEAD = 366


class TaskService:
    def __init__(
        self,
        tasks: TaskRepository,
        submissions: Submissions,
        kinds: KindRegistry,
        cursors: CursorCodec,
        *,
        max_input_bytes: int,
    ) -> None:
        self._tasks, self._submissions, self._kinds, self._cursors = tasks, submissions, kinds, cursors
        self._max_input_bytes = max_input_bytes

    async def submit(self, caller: Caller, body: TaskSubmit) -> TaskRead:
        """The task, durably queued.

        Raises KindUnknown, MissingScope, InputTooLarge, InputInvalid, RunAtTooFar, Unavailable.
        """
        kind = self._kinds.get(body.kind)
        for scope in kind.scopes:
            caller.require(scope)
        now = datetime.now(UTC)
        if body.run_at and body.run_at > now + timedelta(days=_MAX_DAYS_AHEAD):
            raise RunAtTooFar(_MAX_DAYS_AHEAD)
        row = _new_row(caller, body, kind, self._checked_input(kind, body.input), now)
        await self._submissions.write(row)
        return read(Task(**row))

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

    async def get(self, caller: Caller, task_id: str) -> tuple[TaskRead, int]:
        """The task and its version. Raises TaskNotFound."""
        task = await self._tasks.find(caller.tenant_id, task_id)
        if task is None:
            raise TaskNotFound
        return read(task), task.version

    async def list_page(
        self, caller: Caller, *, status: TaskStatus | None, kind: str | None, limit: int, cursor: str | None
    ) -> Page[TaskSummary]:
        """Newest first. Raises Invalid for a cursor of another list."""
        scope = ["tasks", caller.tenant_id, status, kind]
        position = self._cursors.decode(cursor, scope=scope)
        rows = await self._tasks.list_newest(
            caller.tenant_id, status=status, kind=kind, after=position[0] if position else None, limit=limit + 1
        )
        page, last = cut(rows, limit)
        next_cursor = self._cursors.encode([last.id], scope=scope) if last else None
        return Page(items=[summarise(row) for row in page], next_cursor=next_cursor)

    async def cancel(self, caller: Caller, task_id: str) -> tuple[TaskRead, int]:
        """The task, cancelled or asked to stop, and its version. Raises TaskNotFound, TaskFinished."""
        task = await self._tasks.cancel(caller.tenant_id, task_id)
        if task is None:
            present, _ = await self.get(caller, task_id)
            raise TaskFinished(present.status)
        return read(task), task.version

    def list_kinds(self) -> list[KindRead]:
        return [
            KindRead(
                name=kind.name,
                description=kind.description,
                scopes=list(kind.scopes),
                max_attempts=kind.max_attempts,
                timeout_seconds=kind.timeout_seconds,
                input_schema=kind.input_model.model_json_schema(),
            )
            for kind in self._kinds.list()
        ]


def _encoded(given: dict[str, Any]) -> bytes:
    """Raises InputInvalid for what JSON proper cannot hold."""
    try:
        encoded = orjson.dumps(given)  # refuses lone surrogates, integers beyond 64 bits, nesting beyond 254
        json.dumps(given, allow_nan=False)  # of NaN and infinity, orjson would make null
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
    }
