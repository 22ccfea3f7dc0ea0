"""A failed task once more: as a new task, on behalf of whoever replays it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.tasks.domain import Claim, TaskStatus
from services.tasks.models import Task
from shared.errors import MissingScope
from shared.identity import Caller, is_covered

_COPIED = ("kind", "priority", "input", "max_attempts", "timeout_seconds")


@dataclass(frozen=True, slots=True)
class Replayer:
    """Who replays: what the new task may do is what they may."""

    tenant_id: str
    user_id: str
    scopes: tuple[str, ...]
    key_id: str | None
    session_id: str | None

    @classmethod
    def of(cls, caller: Caller) -> "Replayer":
        scopes = tuple(sorted(caller.scopes))
        return cls(caller.tenant_id, caller.subject, scopes, caller.key_id, caller.session_id)

    @classmethod
    def of_claim(cls, claim: Claim) -> "Replayer":
        return cls(claim.tenant_id, claim.user_id, tuple(claim.scopes), claim.key_id, claim.session_id)

    def require(self, scope: str) -> None:
        """Raises MissingScope."""
        if not is_covered(scope, self.scopes):
            raise MissingScope(scope)


def replay_of(dead: Task, by: Replayer, new: str, now: datetime) -> dict[str, Any]:
    """The row of the new task, due at once."""
    row = dict.fromkeys(Task.__table__.columns.keys())
    return row | {
        **{name: getattr(dead, name) for name in _COPIED},
        "id": new,
        "replay_of": dead.id,
        "tenant_id": by.tenant_id,
        "user_id": by.user_id,
        "scopes": list(by.scopes),
        "key_id": by.key_id,
        "session_id": by.session_id,
        "status": TaskStatus.QUEUED.value,
        "dead_letter": False,
        "progress_done": 0,
        "attempt": 0,
        "interruptions": 0,
        "run_at": now,
        "enqueued_at": now,
        "version": 1,
        "created_at": now,
        "event_number": 0,
        "log_lines": 0,
        "log_dropped": 0,
    }
