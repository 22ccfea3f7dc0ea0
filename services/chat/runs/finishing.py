"""What the script FINISH is given, which ends a run."""

from collections.abc import Sequence
from typing import Any

from services.chat.bounds import Bounds
from services.chat.domain import Message, Turn
from services.chat.keeping import kept_keys
from services.chat.runs.events import Event
from services.chat.runs.outbox import OUTBOX_KEYS
from services.chat.storage import Keys, message_bytes
from services.chat.times import now, to_ms
from services.chat.usage.counts import GUARDED_SECONDS, KEPT_SECONDS, counted_key, counts_of, day_of, usage_key
from services.chat.usage.meter import current_meter
from services.chat.words import kept_words


def finish_keys(turn: Turn) -> list[str]:
    """KEYS of FINISH; a run of no conversation stands where that would."""
    keys = Keys(turn.owner)
    return [
        keys.run(turn.run_id) if turn.is_alone else keys.conversation(turn.conversation_id),
        keys.messages(turn.conversation_id),
        keys.lease(turn.conversation_id),
        keys.conversations,
        keys.run(turn.run_id),
        keys.events(turn.run_id),
        usage_key(turn.owner, day_of(turn)),
        counted_key(turn.owner, turn.run_id),
        keys.words(turn.conversation_id),
        *kept_keys(turn.owner),
        *OUTBOX_KEYS,
    ]


async def finish_arguments(
    turn: Turn, status: str, events: Sequence[Event], messages: Sequence[Message], bounds: Bounds
) -> list[Any]:
    """ARGV of FINISH."""
    stored = [[message_bytes(one), one.id, await kept_words(one.content)] for one in messages]
    return [
        turn.run_id,
        turn.conversation_id,
        to_ms(now()),
        bounds.retention_of(turn.owner),
        status,
        len(stored),
        events[0].number,
        counts_of(turn, current_meter()),
        GUARDED_SECONDS,
        KEPT_SECONDS,
        turn.since,
        turn.owner.user_id,
        *bounds.logs.arguments,
        *[part for one in stored for part in one],
        *[part for event in events for part in (event.type, event.data)],
    ]
