"""One claim of a task while it runs here: what to do, how far it is, and why it must stop."""

import asyncio
import time
from dataclasses import dataclass, field
from enum import Enum, auto

from services.tasks.domain import Claim
from services.tasks.worker.log import TaskLog


class Stop(Enum):
    """Why an attempt is stopped from outside."""

    CANCELLED = auto()
    TIMED_OUT = auto()
    LOST = auto()  # another worker has the task, or it ended without us
    SHUTDOWN = auto()
    DISPLACED = auto()  # its slot was lent, and others need it


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """What a handler said last."""

    done: int
    total: int | None
    message: str | None


@dataclass(slots=True, eq=False)
class Attempt:
    """The state of a running attempt that handler, heartbeat and runner share."""

    claim: Claim
    deadline: float = 0.0  # on the monotonic clock
    stopped: asyncio.Future[Stop] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    progress: ProgressReport | None = None
    progress_written: ProgressReport | None = None
    log: TaskLog = field(init=False)
    followers: list[str] = field(default_factory=list)
    """Tasks that waited, as it ended, for that: a hundred at most."""
    leaves_others_waiting: bool = False
    """Whether, as it ended, others of its owner waited for a place."""
    leaves_queue_low: bool = False
    """Whether, as it ended, few of its owner's were in the queue."""

    def __post_init__(self) -> None:
        self.log = TaskLog(self.claim.log_lines, self.claim.log_dropped)
        self.deadline = time.monotonic() + self.claim.timeout_seconds

    def stop(self, reason: Stop) -> None:
        """Ask it to stop; the first reason holds."""
        if not self.stopped.done():
            self.stopped.set_result(reason)

    @property
    def stop_reason(self) -> Stop | None:
        return self.stopped.result() if self.stopped.done() else None

    @property
    def is_waited_for(self) -> bool:
        """Whether others may wait for the end of its task."""
        return bool(self.followers) or self.claim.concurrency_key is not None

    @property
    def has_advanced(self) -> bool:
        """Whether it came further than the attempt before. A fall back costs an attempt, so this has an end."""
        return self.progress is not None and self.progress.done > self.claim.progress_done

    @property
    def task_seconds(self) -> float:
        """Since the first attempt of this task began."""
        return self.claim.age_seconds + self.seconds

    @property
    def seconds(self) -> float:
        """Since this attempt began."""
        return time.monotonic() - (self.deadline - self.claim.timeout_seconds)

    @property
    def remaining_seconds(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def report(self, progress: ProgressReport) -> None:
        self.progress = progress

    @property
    def unwritten_progress(self) -> ProgressReport | None:
        """What the heartbeat has to write; the same again until `progress_written` says that it was.

        The last word is written with the end of the attempt in any case.
        """
        return None if self.progress is self.progress_written else self.progress
