"""The form in which conversations and messages lie in Redis, and their way back."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from services.chat.domain import Citation, Conversation, Message


def now() -> datetime:
    """The present, in the milliseconds that are stored."""
    return from_ms(to_ms(datetime.now(UTC)))


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def from_ms(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message_members(message: Message) -> dict[str, Any]:
    """A message as JSON values: stored like this, and carried like this by events."""
    return {
        "id": message.id,
        "run_id": message.run_id,
        "role": message.role,
        "content": message.content,
        "citations": list(message.citations),
        "created_at": rfc3339(message.created_at),
    }


def message_bytes(message: Message) -> bytes:
    return orjson.dumps(message_members(message))


def message_from(stored: bytes) -> Message:
    members = orjson.loads(stored)
    return Message(
        id=members["id"],
        run_id=members["run_id"],
        role=members["role"],
        content=members["content"],
        citations=[Citation(**citation) for citation in members["citations"]],
        created_at=datetime.fromisoformat(members["created_at"]),
    )


def conversation_from(conversation_id: str, stored: Mapping[bytes, bytes]) -> Conversation:
    return Conversation(
        id=conversation_id,
        agent_id=stored[b"agent_id"].decode(),
        title=stored[b"title"].decode(),
        message_count=int(stored[b"message_count"]),
        version=int(stored[b"version"]),
        created_at=from_ms(int(stored[b"created_at"])),
        last_activity_at=from_ms(int(stored[b"last_activity_at"])),
    )
