"""What a handler says in the log of its task, until the heartbeat or the end of the attempt writes it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from services.tasks.domain import MAX_LOG_CHARS, MAX_LOG_LINES, LogLevel, storable


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line, when it was said."""

    at: datetime
    level: LogLevel
    message: str


@dataclass(frozen=True, slots=True)
class LogPart:
    """Lines that follow the first `after` of the task, and how many were dropped in all."""

    after: int
    lines: tuple[LogLine, ...]
    dropped: int


class TaskLog:
    """The log of one attempt. It keeps the first lines of a task, and of those beyond the bound the number."""

    def __init__(self, written: int, dropped: int) -> None:
        """`written` and `dropped` lines are those of the attempts before."""
        self._written, self._dropped, self._dropped_written = written, dropped, dropped
        self._lines: Final[list[LogLine]] = []

    def add(self, message: str, level: LogLevel) -> None:
        if self._written + len(self._lines) >= MAX_LOG_LINES:
            self._dropped += 1
        else:
            self._lines.append(LogLine(datetime.now(UTC), level, storable(message, MAX_LOG_CHARS)))

    def unwritten(self) -> LogPart | None:
        """What is to be written; the same again until `wrote` says that it was."""
        if not self._lines and self._dropped == self._dropped_written:
            return None
        return LogPart(self._written, tuple(self._lines), self._dropped)

    def wrote(self, part: LogPart) -> None:
        """`part` is committed."""
        done = part.after + len(part.lines) - self._written
        del self._lines[: max(0, done)]
        self._written, self._dropped_written = self._written + max(0, done), part.dropped
