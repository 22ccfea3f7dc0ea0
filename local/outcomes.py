"""What became of one component, for the progress lines and for whoever calls the library."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Result(StrEnum):
    """How one component's start or stop ended."""

    STARTED = "started"
    RESTARTED = "restarted"
    RUNNING = "running"
    EXTERNAL = "external"
    ABSENT = "absent"
    FAILED = "failed"
    SKIPPED = "skipped"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Outcome:
    """One component's result; `reason` and `log` say more where it did not simply work."""

    component: str
    result: Result
    seconds: float = 0.0
    reason: str = ""
    log: Path | None = None

    @property
    def has_failed(self) -> bool:
        return self.result in (Result.FAILED, Result.SKIPPED)


@dataclass(frozen=True)
class Status:
    """What one component is doing now; `memory_bytes` is resident memory of all its processes."""

    component: str
    state: str
    detail: str = ""
    port: int | None = None
    pid: int | None = None
    uptime_seconds: int | None = None
    memory_bytes: int | None = None
    log: Path | None = None

    @property
    def is_ready(self) -> bool:
        return self.state in ("ready", "external")
