"""What an exception of a handler means for its task: again later, or never."""

from pydantic import ValidationError

from services.tasks.domain import Failure
from services.tasks.errors import PermanentFailure
from shared.errors import ServiceError

# 4xx that pass: a token that ran out, a request that was too slow, too early or one too many.
_PASSING = frozenset({401, 408, 425, 429})
_PASSING_CODES = frozenset({"common.idempotency_key_in_use"})
_INTERNAL = Failure("tasks.internal", "The task failed for a reason of our own; the logs have it.", retryable=True)
_SERVER_ERROR = 500
# Away, or with too much to do: what fails so says nothing about the task.
_ABSENT = frozenset({429, 503, 504, 507})
_MAX_RETRY_AFTER_SECONDS = 3600


def failure_of(error: BaseException) -> Failure:
    """Unknown exceptions are tried again, and tell the user nothing of what is inside."""
    match error:
        case PermanentFailure():
            return Failure(error.code, error.detail, retryable=False)
        case ServiceError():
            passing = error.status >= _SERVER_ERROR or error.status in _PASSING or error.code in _PASSING_CODES
            return Failure(
                error.code,
                _detail(error),
                retryable=passing,
                is_absence=error.status in _ABSENT,
                retry_after_seconds=_retry_after(error),
            )
        case ValidationError():
            detail = "The input no longer fits this kind of task."
            return Failure("tasks.input_invalid", detail, retryable=False)
        case _:
            return _INTERNAL


def _retry_after(error: ServiceError) -> float:
    """In seconds; 0 where the error names none, or a date."""
    given = error.headers.get("Retry-After", "")
    return min(int(given), _MAX_RETRY_AFTER_SECONDS) if given.isascii() and given.isdecimal() else 0


def _detail(error: ServiceError) -> str:
    """The error's own words, with the first refused fields: they say what to put right."""
    fields = "; ".join(f"{problem.pointer}: {problem.detail}" for problem in error.errors[:3])
    return f"{error.detail} ({fields})" if fields else error.detail
