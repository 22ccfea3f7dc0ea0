"""Turns a row into what a caller sees of it."""

from typing import Any

import orjson

from services.tasks.models import Task
from services.tasks.schemas import Progress, TaskFailure, TaskRead, TaskSummary


def read(task: Task) -> TaskRead:
    return TaskRead(
        **_common(task),
        input=orjson.loads(task.input),
        result=None if task.result is None else orjson.loads(task.result),
    )


def summarise(task: Task) -> TaskSummary:
    return TaskSummary(**_common(task))


def _common(task: Task) -> dict[str, Any]:
    failure = TaskFailure(code=task.error_code, detail=task.error_detail or "") if task.error_code else None
    return {
        "id": task.id,
        "kind": task.kind,
        "status": task.status,
        "priority": task.priority,
        "progress": Progress(done=task.progress_done, total=task.progress_total, message=task.progress_message),
        "attempt": task.attempt,
        "max_attempts": task.max_attempts,
        "timeout_seconds": task.timeout_seconds,
        "dead_letter": task.dead_letter,
        "cancel_requested": task.cancel_requested_at is not None,
        "error": failure,
        "run_at": task.run_at,
        "created_at": task.created_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
    }
