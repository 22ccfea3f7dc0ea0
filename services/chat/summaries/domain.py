"""A summary of the beginning of a conversation, and what the next one is to hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.chat.past import Exchange


@dataclass(frozen=True, slots=True)
class Summary:
    """What was said up to the answer `message_id`, that one included."""

    text: str
    message_id: str


def pending(exchanges: Sequence[Exchange], known: Summary | None, given: int) -> list[Exchange]:
    """What a new summary is to take up, oldest first, where the newest `given` stand in the prompt as they are.

    Empty as long as `known` has all that stands there no more. Else half of what still does goes in too, so that a
    conversation does not pay for a summary with each message.
    """
    ids = [answer.id for _, answer in exchanges]
    # One that ends before all of them is older than what was looked at.
    covered = ids.index(known.message_id) + 1 if known and known.message_id in ids else 0
    gone = len(exchanges) - given
    return list(exchanges[covered : gone + given // 2]) if gone > covered else []
