"""A conversation, as its owner sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with one agent, None until one is asked. `version` rises with every change."""

    id: str
    agent_id: str | None
    title: str
    message_count: int
    version: int
    created_at: datetime
    last_activity_at: datetime
    expires_at: datetime
    metadata: Mapping[str, Any]
    forked_from: Mapping[str, str] | None
    """`conversation_id` and `message_id` of what it goes on from another way."""
