"""What a task may become, what a worker claims, how long a retry waits, and how a failure is told."""

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.words import Word


class TaskStatus(Word):
    """Where a task is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


TRANSITIONS: dict[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.QUEUED: frozenset({TaskStatus.RUNNING, TaskStatus.CANCELLED, TaskStatus.EXPIRED}),
    # Back to queued is a retry: after a failure, a lost worker, or a worker's orderly end.
    TaskStatus.RUNNING: frozenset(
        {TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.QUEUED},
    ),
    TaskStatus.SUCCEEDED: frozenset(),
    TaskStatus.FAILED: frozenset(),
    TaskStatus.CANCELLED: frozenset(),
    TaskStatus.EXPIRED: frozenset(),
}
UNFINISHED = [status for status in TaskStatus if TRANSITIONS[status]]
CANCELLABLE = [status for status in TaskStatus if TaskStatus.CANCELLED in TRANSITIONS[status]]


class After(Word):
    """What of another task is waited for: that it succeeds, or that it ends at all."""

    SUCCESS = "success"
    END = "end"


class OnConflict(Word):
    """What becomes of a task whose key another one has."""

    QUEUE = "queue"
    CANCEL_OLDEST = "cancel_oldest"
    REFUSE = "refuse"


class Priority(Word):
    """Each priority has a queue, and slots of its own in every worker."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class LogLevel(Word):
    """How much a line of a task's log matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


MAX_LOG_LINES = 1000
"""Of one task, over all its attempts; those that come later are counted only."""
MAX_LOG_CHARS = 2000
REPLAY_KIND = "tasks.replay"
"""The kind of tasks that replay others, and are not replayed by another of it."""
LOGGED = "task.log"
"""The type of the events that are lines of a log."""


class AttemptOutcome(Word):
    """How an attempt ended, if it has."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    LOST = "lost"

    @classmethod
    def of(cls, *, has_ended: bool, error_code: str | None) -> "AttemptOutcome":
        if not has_ended:
            return cls.RUNNING
        if error_code is None:
            return cls.SUCCEEDED
        return _OUTCOMES.get(error_code, cls.FAILED)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What sends a worker to a task: which one, whose it is and of which kind, where that is said."""

    task_id: str
    tenant_id: str
    user_id: str
    kind: str = ""


AttemptKey = tuple[str, int]
"""The id of a task and the number of one of its attempts."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A task as claimed: `attempt` fences every later write."""

    id: str
    attempt: int
    tenant_id: str
    user_id: str
    scopes: list[str]
    key_id: str | None
    session_id: str | None
    kind: str
    priority: str
    input: str
    interruptions: int
    max_attempts: int
    timeout_seconds: float
    traceparent: str | None
    retry: dict[str, Any] | None
    """What it wants otherwise than its kind."""
    concurrency_key: str | None
    """Of the tasks of a tenant with the same one runs at a time."""
    schedule_id: str | None
    """Of the schedule that made it."""
    progress_done: int
    """As the attempt before left it."""
    log_lines: int
    log_dropped: int
    """Lines of the attempts before: those that are kept, and those that were too many."""
    age_seconds: float
    """Since its first attempt began."""
    late_seconds: float
    """From when it could have begun to this attempt."""

    @property
    def key(self) -> AttemptKey:
        return self.id, self.attempt

    @property
    def ticket(self) -> Ticket:
        return Ticket(self.id, self.tenant_id, self.user_id, self.kind)


def counted_attempts(task: Any) -> Any:
    """The attempts so far, but for those that are not held against the task.

    These were interrupted by a worker's orderly end or for others, or failed while something they need was away, or
    after the work had advanced. Of a claim in numbers; of the table in columns, so that this rule and the next are SQL
    there.
    """
    return task.attempt - task.interruptions


def are_attempts_used_up(task: Any) -> Any:
    """Whether no other attempt may follow."""
    return counted_attempts(task) >= task.max_attempts


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed. `detail` is shown to the user; `retryable` says whether trying again can help."""

    code: str
    detail: str
    retryable: bool
    is_absence: bool = False
    """Whether something the task needs was away or had too much to do: nothing the task did."""
    retry_after_seconds: float = 0.0
    """How long whoever refused asked to be left alone."""


WORKER_LOST = Failure("tasks.worker_lost", "The worker running this attempt was lost.", retryable=True)
TIMED_OUT = Failure("tasks.timed_out", "The attempt took longer than its timeout.", retryable=True)
INTERRUPTED = Failure("tasks.interrupted", "The worker running this attempt shut down.", retryable=True)
DISPLACED = Failure("tasks.interrupted", "The attempt gave its place to tasks of others.", retryable=True)
CANCELLED = Failure("tasks.cancelled", "The task was cancelled.", retryable=False)
EXPIRED = Failure("tasks.expired", "The task could not be started in time.", retryable=False)
DEPENDENCY_FAILED = Failure(
    "tasks.dependency_failed", "A task that this one waited for did not succeed.", retryable=False
)
AUTHORITY_ENDED = "tasks.authority_ended"
"""The code of the failure of a task whose credential has ended."""
_OUTCOMES = {
    CANCELLED.code: AttemptOutcome.CANCELLED,
    INTERRUPTED.code: AttemptOutcome.INTERRUPTED,
    WORKER_LOST.code: AttemptOutcome.LOST,
}


def storable(text: str, max_chars: int) -> str:
    """`text` as PostgreSQL can keep it, cut to `max_chars`."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:max_chars]


class Jitter(Word):
    """How much chance is in a wait: all of it, or none."""

    FULL = "full"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter, which spreads retries best (Brooker, "Exponential Backoff And Jitter")."""

    base_seconds: float = 1.0
    cap_seconds: float = 300.0
    jitter: Jitter | str = Jitter.FULL
    not_on: Collection[str] = ()
    """The codes of errors after which there is no other attempt."""

    def changed(self, wishes: Mapping[str, Any] | None) -> "RetryPolicy":
        """With what a task or its kind wants otherwise; of anything else there is nothing here."""
        known = {name: value for name, value in (wishes or {}).items() if name in RetryPolicy.__dataclass_fields__}
        return replace(self, **known)

    def ceiling_seconds(self, attempt: int) -> float:
        """The longest wait after failed attempt number `attempt`, counted from 1."""
        return min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt - 1, 30))

    def delay_seconds(self, attempt: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
        longest = self.ceiling_seconds(attempt)
        return longest if self.jitter == Jitter.NONE else uniform(0, longest)
