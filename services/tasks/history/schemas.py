"""Attempts and lines of a log on the wire."""

from pydantic import Field

from services.tasks.domain import MAX_LOG_CHARS, AttemptOutcome, LogLevel
from services.tasks.models import TaskAttempt, TaskEvent
from services.tasks.schemas import TaskFailure
from shared.resources import Page
from shared.schemas import ResponseModel, UtcDatetime


class AttemptRead(ResponseModel):
    """One time that a worker took the task."""

    number: int = Field(ge=1)
    outcome: AttemptOutcome = Field(
        description="`interrupted` and `lost` are a worker that ended in order or needed the place for others, "
        "or fell silent: nothing the task did"
    )
    error: TaskFailure | None
    started_at: UtcDatetime
    finished_at: UtcDatetime | None

    @classmethod
    def of(cls, attempt: TaskAttempt) -> "AttemptRead":
        code, detail = attempt.error_code, attempt.error_detail
        return cls(
            number=attempt.number,
            outcome=AttemptOutcome.of(has_ended=attempt.finished_at is not None, error_code=code),
            error=TaskFailure(code=code, detail=detail or "") if code else None,
            started_at=attempt.started_at,
            finished_at=attempt.finished_at,
        )


class LogLineRead(ResponseModel):
    """What the task said."""

    number: int = Field(description="that of its event in `GET /tasks/{id}/events`: rising, with gaps")
    attempt: int
    at: UtcDatetime
    level: LogLevel
    message: str = Field(max_length=MAX_LOG_CHARS)

    @classmethod
    def of(cls, event: TaskEvent) -> "LogLineRead":
        return cls(number=event.number, at=event.at, **event.body)


class LogPage(Page[LogLineRead]):
    """Lines of a log, oldest first."""

    dropped: int = Field(description="lines that were said beyond those a task keeps, and are gone")
