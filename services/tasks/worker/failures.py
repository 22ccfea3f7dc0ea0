"""What an exception of a handler means for its task: again later, or never."""

import logging
from typing import Any

from pydantic import ValidationError

from services.tasks.domain import Claim, Failure
from services.tasks.errors import PermanentFailure, may_pass, retry_after
from shared.errors import ServiceError

_log = logging.getLogger("tasks.worker")
_INTERNAL = Failure("tasks.internal", "The task failed for a reason of our own; the logs have it.", retryable=True)
# Away, or with too much to do: what fails so says nothing about the task.
_ABSENT = frozenset({429, 503, 504, 507})
_MAX_RETRY_AFTER_SECONDS = 3600


def failure_of(error: BaseException) -> Failure:
    """Unknown exceptions are tried again, and tell the user nothing of what is inside."""
    match error:
        case PermanentFailure():
            return Failure(error.code, error.detail, retryable=False)
        case ServiceError():
            return Failure(
                error.code,
                _detail(error),
                retryable=may_pass(error),
                is_absence=error.status in _ABSENT,
                retry_after_seconds=min(retry_after(error), _MAX_RETRY_AFTER_SECONDS),
            )
        case ValidationError():
            detail = "The input no longer fits this kind of task."
            return Failure("tasks.input_invalid", detail, retryable=False)
        case _:
            return _INTERNAL


def noted_failure(claim: Claim, error: BaseException) -> Failure:
    """The same; what nobody foresaw is logged whole."""
    failure = failure_of(error)
    fields: dict[str, Any] = {"task_id": claim.id, "kind": claim.kind, "attempt": claim.attempt, "code": failure.code}
    if failure.code == _INTERNAL.code:
        _log.error("handler failed", exc_info=error, extra={"fields": fields})
    return failure


def _detail(error: ServiceError) -> str:
    """The error's own words, with the first refused fields: they say what to put right."""
    fields = "; ".join(f"{problem.pointer}: {problem.detail}" for problem in error.errors[:3])
    return f"{error.detail} ({fields})" if fields else error.detail
