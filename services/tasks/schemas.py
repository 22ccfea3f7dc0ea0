"""Tasks on the wire."""

from typing import Annotated, Any, Literal

import orjson
from pydantic import ConfigDict, Field, model_validator

from services.tasks.domain import After, Jitter, OnConflict, Priority, TaskStatus
from services.tasks.kinds.kind import Kind
from services.tasks.models import Task
from shared.schemas import Id, LargeModel, Moment, PathText, ResponseModel, Text, UtcDatetime

MAX_ATTEMPTS = 20
# RabbitMQ closes the channel of a consumer that holds a message for 30 minutes (its `consumer_timeout`).
MAX_TIMEOUT_SECONDS = 1500

KindName = Annotated[PathText, Field(min_length=1, max_length=64, examples=["echo"])]
ErrorCode = Annotated[Text, Field(min_length=1, max_length=100, examples=["common.unavailable"])]


class Retry(LargeModel):
    """How a task is tried again, where otherwise than its kind."""

    max_attempts: int | None = Field(default=None, ge=1, le=MAX_ATTEMPTS, description="as beside it", examples=[3])
    base_seconds: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="longest wait before the second attempt; doubles with each",
        examples=[1],
    )
    cap_seconds: float | None = Field(
        default=None, gt=0, le=86_400, description="longest wait before any attempt", examples=[300]
    )
    jitter: Jitter | None = Field(
        default=None, description="`full`: each wait is up to so long, by chance; `none`: exactly", examples=["full"]
    )
    not_on: list[ErrorCode] | None = Field(
        default=None, max_length=50, description="error codes after which there is no other attempt"
    )


class AfterTasks(LargeModel):
    """Other tasks that are waited for."""

    ids: list[Id] = Field(min_length=1, max_length=1000, description="of tasks that the caller sees")
    on: After = Field(
        default=After.SUCCESS,
        description="`success`: of all; when one ends otherwise this one is cancelled. `end`: however they end",
        examples=["success"],
    )


class Concurrency(LargeModel):
    """One at a time."""

    key: Text = Field(
        min_length=1,
        max_length=200,
        description="of the tasks of the tenant with this key one runs at a time, in the order they were submitted",
        examples=["nightly-import"],
    )
    on_conflict: OnConflict = Field(
        default=OnConflict.QUEUE,
        description="while another has not ended: wait for it; have those cancelled that the caller may cancel; or be "
        "refused",
        examples=["queue"],
    )


class TaskSubmit(LargeModel):
    """Work to be done."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "echo", "input": {"text": "hello"}}]})

    kind: KindName
    input: dict[str, Any] = Field(
        default_factory=dict,
        description="what the kind asks for; `GET /tasks/kinds` has the schema of each",
        examples=[{"text": "hello"}],
    )
    priority: Priority = Field(default=Priority.NORMAL, examples=["normal"])
    run_at: Moment | None = Field(
        default=None, description="not before; at once when absent or past", examples=["2026-01-31T09:00:00Z"]
    )
    max_attempts: int | None = Field(
        default=None, ge=1, le=MAX_ATTEMPTS, description="the kind's own when absent", examples=[3]
    )
    retry: Retry | None = Field(default=None, description="the kind's own when absent")
    after: AfterTasks | None = Field(default=None, description="begin when these have succeeded, or ended")
    concurrency: Concurrency | None = Field(default=None, description="run beside no other of the same key")
    parent_id: Id | None = Field(default=None, description="a task beneath which the list shows this one")
    start_before: Moment | None = Field(
        default=None,
        description="one that has not begun by then expires; a later attempt is no beginning",
        examples=["2999-01-01T00:00:00Z"],
    )
    timeout_seconds: float | None = Field(
        default=None, ge=1, le=MAX_TIMEOUT_SECONDS, description="of one attempt; the kind's own when absent"
    )

    @model_validator(mode="after")
    def _attempts_are_said_once(self) -> "TaskSubmit":
        if self.max_attempts and self.retry and self.retry.max_attempts:
            raise ValueError("give max_attempts here or in retry, not in both")
        return self


class TaskBatch(LargeModel):
    """Tasks to be submitted together, each by itself right or wrong."""

    tasks: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=500,
        description="each as the body of `POST /tasks/submit`",
        examples=[[{"kind": "echo", "input": {"text": "hello"}}]],
    )


class Progress(ResponseModel):
    """How far a task has come, in units of its kind."""

    done: int = Field(ge=0)
    total: int | None = Field(description="null when it is not known")
    message: str | None


class TaskFailure(ResponseModel):
    """Why the latest attempt failed."""

    code: str = Field(description="stable, safe to branch on")
    detail: str


class RetryRead(ResponseModel):
    """How the task is tried again, where otherwise than its kind; null is as its kind."""

    max_attempts: int | None = None
    base_seconds: float | None = None
    cap_seconds: float | None = None
    jitter: Jitter | None = None
    not_on: list[str] | None = None


class TaskSummary(ResponseModel):
    """A task without its input and result, which may be large."""

    id: Id
    submitted_by: Id = Field(description="the user whose task it is")
    kind: str
    status: TaskStatus
    priority: Priority
    progress: Progress
    attempt: int = Field(description="of the latest attempt, from 1; 0 before the first")
    max_attempts: int
    timeout_seconds: float
    retry: RetryRead | None = Field(description="as it was submitted")
    start_before: UtcDatetime | None
    dead_letter: bool = Field(description="whether it failed because its attempts were used up")
    cancel_requested: bool = Field(description="whether it was asked to stop")
    error: TaskFailure | None
    waiting_for: int = Field(ge=0, description="how many other tasks it waits for")
    concurrency_key: str | None
    waits_for_key: bool = Field(description="whether another task has its key")
    parent_id: Id | None
    schedule_id: Id | None = Field(description="of the schedule that made it")
    run_at: UtcDatetime = Field(description="when it is due, or its next attempt")
    created_at: UtcDatetime
    started_at: UtcDatetime | None = Field(description="start of the first attempt")
    finished_at: UtcDatetime | None
    replay_of: Id | None = Field(description="the failed task that this one is once more")
    replayed_as: Id | None = Field(description="of a failed task: the new one that it was replayed as")
    discarded_at: UtcDatetime | None = Field(description="of a failed task: when somebody said that nothing follows")

    @classmethod
    def of(cls, task: Task) -> "TaskSummary":
        return cls(
            id=task.id,
            submitted_by=task.user_id,
            kind=task.kind,
            status=task.status,
            priority=task.priority,
            progress=Progress(done=task.progress_done, total=task.progress_total, message=task.progress_message),
            attempt=task.attempt,
            max_attempts=task.max_attempts,
            timeout_seconds=task.timeout_seconds,
            retry=RetryRead(**task.retry) if task.retry else None,
            start_before=task.start_before,
            dead_letter=task.dead_letter,
            cancel_requested=task.cancel_requested_at is not None,
            error=TaskFailure(code=task.error_code, detail=task.error_detail or "") if task.error_code else None,
            waiting_for=task.waiting_for,
            concurrency_key=task.concurrency_key,
            waits_for_key=task.waits_for_key,
            parent_id=task.parent_id,
            schedule_id=task.schedule_id,
            run_at=task.run_at,
            created_at=task.created_at,
            started_at=task.started_at,
            finished_at=task.finished_at,
            replay_of=task.replay_of,
            replayed_as=task.replayed_as,
            discarded_at=task.discarded_at,
        )


class TaskRead(TaskSummary):
    """A task."""

    input: dict[str, Any]
    result: Any = Field(description="what the kind returned; null until it succeeded")

    @classmethod
    def json_of(cls, task: Task) -> bytes:
        """The task as JSON. Input and result are JSON in the row already: they go out as they are, never decoded."""
        members = TaskSummary.of(task).model_dump(mode="json")
        return orjson.dumps(
            {**members, "input": orjson.Fragment(task.input), "result": orjson.Fragment(task.result or "null")}
        )


class Submitted(ResponseModel):
    """What became of one task of a batch."""

    status: int = Field(description="what `POST /tasks/submit` would have answered: 202, or that of `problem`")
    task: TaskSummary | None = None
    problem: dict[str, Any] | None = Field(default=None, description="a problem, as everywhere else")


class BatchRead(ResponseModel):
    """Outcomes, in the order of the tasks."""

    results: list[Submitted]


class KindRead(ResponseModel):
    """A kind of task that can be submitted."""

    name: str
    description: str
    scopes: list[str] = Field(description="what the submitting caller must hold beside `tasks:write`")
    max_attempts: int = Field(description="when the task names none")
    timeout_seconds: float = Field(description="of one attempt, when the task names none")
    at_once: int | None = Field(description="how many of its tasks run at once, everybody's together; null is no limit")
    input_schema: dict[str, Any] = Field(description="JSON Schema of `input`")

    @classmethod
    def of(cls, kind: Kind[Any]) -> "KindRead":
        return cls(
            name=kind.name,
            description=kind.description,
            scopes=list(kind.scopes),
            max_attempts=kind.max_attempts,
            timeout_seconds=kind.timeout_seconds,
            at_once=kind.at_once,
            input_schema=kind.input_model.model_json_schema(),
        )


class KindList(ResponseModel):
    """All kinds; a fixed, short list."""

    items: list[KindRead]
    next_cursor: Literal[None] = None
