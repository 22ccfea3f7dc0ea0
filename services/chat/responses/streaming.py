"""A response as it goes over the wire while it comes, and when it has."""

from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from services.chat.dialogue.telling import Told
from services.chat.responses.blaming import blamed
from services.chat.responses.speaking import Typed
from services.chat.responses.unfolding import Unfolding
from services.chat.runs.events import WAITING
from shared.errors import ServiceError
from shared.openai import error_object
from shared.web import HEARTBEAT

_FROM_THE_FIRST: Final = -1


async def typed(
    unfolding: Unfolding, events: AsyncIterator[Told | None], *, after: int = _FROM_THE_FIRST
) -> AsyncIterator[bytes]:
    """The response's events after number `after`, as they come, to the last.

    One that is let go while it waits for an approval says so, in an event that has the number of the last: whoever
    comes again after that hears what comes when it goes on.
    """
    failure: ServiceError | None = None
    async for event in events:
        if event is None:
            yield HEARTBEAT
            continue
        failure = event.failure if event.type == WAITING else None
        if frames := b"".join(_frame(one) for one in unfolding.take(event) if one["sequence_number"] > after):
            yield frames
    if failure:
        yield _frame(_error(failure, unfolding.last_number))


def _error(failure: ServiceError, number: int) -> Typed:
    told = error_object(failure)
    return {"type": "error", **{name: told[name] for name in ("code", "message", "param")}, "sequence_number": number}


def _frame(event: Typed) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))


async def whole(unfolding: Unfolding, events: AsyncIterator[Told | None]) -> dict[str, Any]:
    """The response, once its run has ended. Raises what that failed with, and ApprovalNeeded where it waits."""
    async for event in events:
        if event is None:
            continue
        if failure := event.failure:
            raise blamed(failure)
        unfolding.take(event)
    return unfolding.response
