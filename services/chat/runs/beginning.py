"""What it takes to begin a run: the key of its request, what the script START is given, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from services.chat.bounds import Bounds
from services.chat.conversations.metadata import tags_of
from services.chat.domain import Turn
from services.chat.errors import (
    ConversationFull,
    ConversationOfOtherAgent,
    QueueFull,
    RunActive,
    TooManyConversations,
)
from services.chat.given import Given
from services.chat.keeping import KEPT_REFUSALS, kept_keys
from services.chat.runs.events import Event
from services.chat.runs.logs import LOG_REFUSALS
from services.chat.storage import Keys, message_bytes
from services.chat.times import to_ms
from services.chat.words import kept_words
from shared.errors import ServiceError

_TITLE_CHARS = 80
REFUSALS: Final[dict[str, Callable[[], ServiceError]]] = {
    "other_agent": ConversationOfOtherAgent,
    "active": RunActive,
    "full": ConversationFull,
    "queue_full": QueueFull,
    "too_many": TooManyConversations,
    **KEPT_REFUSALS,
    **LOG_REFUSALS,
}
"""By the answer of START, and of ENQUEUE."""


@dataclass(frozen=True, slots=True)
class RunKey:
    """An idempotency key and the request it came with; `before` is what is stored under it as yet."""

    digest: bytes
    of: bytes
    before: bytes = b""


@dataclass(frozen=True, slots=True)
class Begun:
    """The run that was begun for a key, and for which request; `stored` is both as they lie in Redis."""

    run_id: str
    of: bytes
    stored: bytes


class TurnChanged(Exception):
    """What was to be answered again is not the end of the conversation any more."""


class KeyTaken(Exception):
    """Another run was begun for this key meanwhile."""


def once_holds(turn: Turn, key: RunKey | None) -> bytes:
    """What is stored under the key once the turn has begun, empty without a key."""
    return orjson.dumps({"of": key.of.hex(), "run_id": turn.run_id}) if key else b""


def require_begun(answer: str) -> None:
    """Raises what a script that begins turns answers instead of `ok`."""
    if answer == "taken":
        raise KeyTaken
    if answer == "changed":
        raise TurnChanged
    if answer != "ok":
        raise REFUSALS[answer]()


def start_keys(turn: Turn, key: RunKey | None) -> list[str]:
    """KEYS of START."""
    keys = Keys(turn.owner)
    return [
        keys.conversation(turn.conversation_id),
        keys.messages(turn.conversation_id),
        keys.lease(turn.conversation_id),
        keys.runs(turn.conversation_id),
        keys.conversations,
        keys.run(turn.run_id),
        keys.events(turn.run_id),
        keys.once(key.digest if key else b""),
        keys.words(turn.conversation_id),
        keys.queue(turn.conversation_id),
        *kept_keys(turn.owner),
    ]


async def start_arguments(turn: Turn, event: Event, key: RunKey | None, bounds: Bounds, inbox: str) -> list[Any]:
    """ARGV of START."""
    title = title_of(turn.question.content)
    return [
        int(turn.is_new_conversation),
        to_ms(turn.question.created_at),
        bounds.retention_of(turn.owner),
        turn.agent.id,
        title,
        message_bytes(turn.question),
        turn.run_id,
        bounds.lease_ms,
        bounds.kept_seconds,
        bounds.max_messages,
        bounds.max_conversations,
        turn.conversation_id,
        event.data,
        key.before if key else b"",
        once_holds(turn, key),
        turn.model,
        inbox,
        orjson.dumps(turn.metadata),
        tags_of(turn.metadata),
        await kept_words(title),
        turn.question.id,
        await kept_words(turn.question.content),
        turn.owner.user_id,
        *bounds.kept.arguments,
        turn.key_id or "",
        *bounds.logs.arguments,
        *[part for entry in turn.replaces for part in entry],
    ]


def title_of(content: str) -> str:
    """The first line of what began the conversation, cut to a title's length."""
    line = " ".join(content.strip().split("\n", 1)[0].split())
    return line if len(line) <= _TITLE_CHARS else line[: _TITLE_CHARS - 1].rstrip() + "…"


def given_keys(turn: Turn, key: RunKey | None) -> list[str]:
    """KEYS of START_ALONE, or of START_JOINED."""
    keys, conversation_id = Keys(turn.owner), turn.conversation_id
    once = keys.once(key.digest if key else b"")
    alone = [keys.lease(conversation_id), keys.run(turn.run_id), keys.events(turn.run_id), once]
    if turn.is_alone:
        return alone
    return [
        *alone,
        keys.conversation(conversation_id),
        keys.messages(conversation_id),
        keys.conversations,
        keys.runs(conversation_id),
        keys.queue(conversation_id),
        *kept_keys(turn.owner),
    ]


def given_arguments(
    turn: Turn, given: Given, event: Event, key: RunKey | None, bounds: Bounds, inbox: str
) -> list[Any]:
    """ARGV of START_ALONE, or of START_JOINED."""
    alone = [
        turn.run_id,
        turn.conversation_id,
        to_ms(turn.question.created_at),
        turn.agent.id,
        turn.model,
        inbox,
        turn.key_id or "",
        turn.door,
        event.data,
        bounds.lease_ms,
        bounds.kept_seconds,
        key.before if key else b"",
        once_holds(turn, key),
        *bounds.logs.arguments,
        given.kept,
    ]
    if given.joins is None:
        return alone
    return [
        *alone,
        given.version,
        bounds.retention_of(turn.owner),
        bounds.max_messages,
        len(given.joins) + 1,
        sum(len(orjson.dumps(message)) for message in given.joins),
        turn.owner.user_id,
        *bounds.kept.arguments,
    ]
