"""The row of a new task, whoever makes it: a submit, a schedule that is due, or a person who runs one now."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from services.tasks.domain import TaskStatus
from services.tasks.errors import InputInvalid, InputTooLarge
from services.tasks.kinds.kind import Kind
from services.tasks.models import Task
from shared import telemetry
from shared.errors import FieldProblem, field_problems
from shared.identity import Caller
from shared.schemas import new_id


def authority_of(caller: Caller) -> dict[str, Any]:
    """What is kept of a caller, so that work can be done for them, and ends with what they came with."""
    return {
        "tenant_id": caller.tenant_id,
        "user_id": caller.subject,
        "scopes": sorted(caller.scopes),
        "key_id": caller.key_id,
        "session_id": caller.session_id,
    }


def require_scopes(caller: Caller, scopes: Iterable[str]) -> None:
    """Raises MissingScope for the first that the caller does not hold."""
    for scope in scopes:
        caller.require(scope)


def checked_input(kind: Kind[Any], given: dict[str, Any], max_bytes: int) -> str:
    """The input as it is stored. Raises InputTooLarge, InputInvalid."""
    encoded = _encoded(given)
    if len(encoded) > max_bytes:
        raise InputTooLarge(len(encoded), max_bytes)
    try:
        kind.input_model.model_validate(given)
    except ValidationError as error:
        located = [{**one, "loc": ("body", "input", *one["loc"])} for one in error.errors()]
        raise InputInvalid(errors=field_problems(located)) from error
    return encoded.decode()


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


def new_row(kind: Kind[Any], now: datetime, run_at: datetime | None, **values: Any) -> dict[str, Any]:
    """A whole row: what is not given is null, so that all submits can share one statement.

    `values` are whose it is (`authority_of`), its input as it is stored, its priority, and what differs from the kind.
    """
    trace: dict[str, str] = {}
    telemetry.inject(trace)
    due_at = max(run_at, now) if run_at else now
    is_sent = due_at <= now and kind.at_once is None  # of the others a worker sends as many as may run
    row = dict.fromkeys(Task.__table__.columns.keys())
    return row | {
        "id": new_id(),
        "kind": kind.name,
        "status": TaskStatus.QUEUED.value,
        "dead_letter": False,
        "progress_done": 0,
        "waiting_for": 0,
        "dependency_failed": False,
        "waits_for_key": False,
        "attempt": 0,
        "interruptions": 0,
        "max_attempts": kind.max_attempts,
        "timeout_seconds": kind.timeout_seconds,
        "run_at": due_at,
        "enqueued_at": now if is_sent else None,
        "traceparent": trace.get("traceparent"),
        "version": 1,
        "event_number": 0,
        "log_lines": 0,
        "log_dropped": 0,
        "created_at": now,
        **{name: value for name, value in values.items() if value is not None},
    }
