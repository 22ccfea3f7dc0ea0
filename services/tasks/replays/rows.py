"""A failed task once more: as a new task, on behalf of whoever replays it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from services.tasks.domain import Claim
from services.tasks.kinds.kind import Kind
from services.tasks.models import Task
from services.tasks.rows import authority_of, new_row
from shared.errors import MissingScope
from shared.identity import Caller, is_covered

_COPIED = ("priority", "input", "max_attempts", "timeout_seconds", "retry", "concurrency_key", "parent_id")


@dataclass(frozen=True, slots=True)
class Replayer:
    """Who replays: what the new task may do is what they may."""

    tenant_id: str
    user_id: str
    scopes: list[str]
    key_id: str | None
    session_id: str | None

    @classmethod
    def of(cls, caller: Caller) -> "Replayer":
        return cls(**authority_of(caller))

    @classmethod
    def of_claim(cls, claim: Claim) -> "Replayer":
        return cls(claim.tenant_id, claim.user_id, list(claim.scopes), claim.key_id, claim.session_id)

    def require(self, scope: str) -> None:
        """Raises MissingScope."""
        if not is_covered(scope, self.scopes):
            raise MissingScope(scope)


def replay_of(dead: Task, kind: Kind[Any], by: Replayer, new: str, now: datetime) -> dict[str, Any]:
    """The row of the new task, due at once: of what the failed one wanted of others, its key and its parent stay."""
    copied = {name: getattr(dead, name) for name in _COPIED}
    return new_row(kind, now, None, **copied, **asdict(by), id=new, replay_of=dead.id)
