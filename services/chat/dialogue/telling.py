"""What a run tells, read again from how it goes over the wire: the same through whichever replica it is followed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from services.chat.dialogue.errors import ApprovalNeeded
from services.chat.errors import RunCancelled
from services.chat.runs.events import CANCELLED, FAILED, WAITING
from shared.errors import FieldProblem, Relayed, ServiceError

_EVENT: Final = len(b"event: ")
_DATA: Final = len(b"data: ")


@dataclass(frozen=True, slots=True)
class Told:
    """One event; `data` is JSON."""

    type: str
    data: bytes

    @property
    def members(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.data)
        return found

    @property
    def failure(self) -> ServiceError | None:
        """The error that the run ends with, for whoever asks here."""
        if self.type == FAILED:
            return _failure(self.members)
        if self.type == CANCELLED:
            return _cancelled()
        if self.type == WAITING:
            members = self.members
            return ApprovalNeeded(members["run_id"], [call["call_id"] for call in members["calls"]])
        return None


async def told(frames: AsyncIterator[bytes]) -> AsyncIterator[Told | None]:
    """The events in `frames`; None for a heartbeat."""
    async for some in frames:
        for frame in some.split(b"\n\n"):
            if frame.startswith(b"id: "):
                _, event, data = frame.split(b"\n", 2)
                yield Told(event[_EVENT:].decode(), data[_DATA:])
            elif frame:
                yield None


def _cancelled() -> ServiceError:
    """OpenAI's clients repeat a conflict by themselves: what somebody has cancelled would begin again."""
    error = RunCancelled()
    error.headers["x-should-retry"] = "false"
    return error


def _failure(problem: dict[str, Any]) -> ServiceError:
    retry_after = problem.get("retry_after_seconds")
    return Relayed(
        problem["status"],
        problem["code"],
        problem["title"],
        problem["detail"],
        errors=[FieldProblem(**one) for one in problem.get("errors", [])],
        headers={"Retry-After": str(retry_after)} if retry_after is not None else {},
    )
