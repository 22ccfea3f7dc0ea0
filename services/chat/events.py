"""What chat publishes: what became of a run, to whoever listens; and what was done, to auth for its audit log."""

from dataclasses import asdict, dataclass
from typing import Any

from services.chat.domain import RunState
from shared.words import Word


class RunEvent(Word):
    """What became of a run. The last three are said once of each; it may wait several times."""

    WAITING = "run.waiting.v1"
    COMPLETED = "run.completed.v1"
    FAILED = "run.failed.v1"
    CANCELLED = "run.cancelled.v1"


STATES = {
    RunEvent.WAITING: RunState.REQUIRES_ACTION,
    RunEvent.COMPLETED: RunState.COMPLETED,
    RunEvent.FAILED: RunState.FAILED,
    RunEvent.CANCELLED: RunState.CANCELLED,
}
"""What a run then is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTold:
    """The body of every event: which run it is and how it stands, and nothing of what was said. Times are RFC 3339."""

    run_id: str
    conversation_id: str
    agent_id: str | None
    """None for a run that an earlier release began."""
    tenant_id: str
    user_id: str
    """Whose conversation it is."""
    key_id: str | None
    """The API key that the message came with."""
    status: str
    code: str | None
    """Of the error that it failed with."""
    door: str
    """By which it came: `chat`, `completions` or `responses`."""
    model: str | None
    finished_at: str | None
    occurred_at: str
    """When it came to be so, by the clock of the store: events of a run are in this order."""

    @property
    def body(self) -> dict[str, Any]:
        """As it is published."""
        return asdict(self)


class Done(Word):
    """To a conversation, a message, a response or a run, by its id."""

    UPDATED = "conversation.updated"
    DELETED = "conversation.deleted"
    MESSAGE_DELETED = "message.deleted"
    RESPONSE_DELETED = "response.deleted"
    RUN_CANCELLED = "run.cancelled"
    CALL_APPROVED = "call.approved"
    CALL_DENIED = "call.denied"
