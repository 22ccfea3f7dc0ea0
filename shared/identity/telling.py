"""Tells auth what was done here, from services whose store has no outbox; docs/decisions/0028.

The request that did it does not wait: what is to be told waits in memory until the broker has confirmed it. So a
process that is killed may leave the last of it untold, and so does a broker that stays away for more than is kept.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Protocol

import orjson
from prometheus_client import CollectorRegistry, Counter

from shared import telemetry
from shared.errors import ServiceError
from shared.identity.caller import Caller
from shared.identity.deeds import DEED_DONE, Deed, declare_deeds, deed
from shared.loops import in_background, keep
from shared.messages import EVENTS_EXCHANGE, OutgoingMessage, Publisher, open_connection
from shared.schemas import new_id

_log = logging.getLogger("shared.identity")
_KEPT = 10_000
_AT_ONCE = 50
_LAST_SECONDS = 3.0  # of a process that stops, for what is still untold


class Tells(Protocol):
    """Who is told what was done."""

    def tell(self, by: Caller, action: str, target: str, *, once: str | None = None, **details: int | str) -> None:
        """That `by` did it to `target`: after it was done, for it was done whatever becomes of this. Never raises.

        What is told again with the same `once`, such as the id of what was made, is one entry.
        """


class Teller:
    """`Tells`, over RabbitMQ: at least once, in order as long as nothing fails."""

    def __init__(self, publisher: Publisher, untold: Counter) -> None:
        self._publisher, self._untold = publisher, untold
        self._waiting: deque[OutgoingMessage] = deque()
        self._wake = asyncio.Event()

    def tell(self, by: Caller, action: str, target: str, *, once: str | None = None, **details: int | str) -> None:
        """Kept in memory until it is told; beyond 10,000 it is counted as untold. Never raises, never waits."""
        self.tell_deed(deed(by, action, target, **details), once=once)

    def tell_deed(self, done: Deed, *, once: str | None = None) -> None:
        """The same, of one that is made already."""
        if len(self._waiting) >= _KEPT:
            self._give_up(1)
            return
        headers: dict[str, str] = {}
        telemetry.inject(headers)  # the entry carries the trace of the request
        body = orjson.dumps(done.body)
        message_id = f"{done.action}:{once}" if once else new_id()
        self._waiting.append(OutgoingMessage(message_id, EVENTS_EXCHANGE, DEED_DONE, body, headers))
        self._wake.set()

    async def run(self) -> None:
        """Never returns; a broker that is away is waited for."""
        await keep(self._tell_some, log=_log, every_seconds=60.0, wake=self._wake)

    async def _tell_some(self) -> bool:
        """Whether there may be more. Raises Unavailable, Unroutable, and keeps what was not confirmed."""
        await self._publisher.ready()
        batch = list(islice(self._waiting, _AT_ONCE))
        outcomes = await asyncio.gather(*map(self._publisher.publish, batch), return_exceptions=True)
        failed = [one for one, outcome in zip(batch, outcomes, strict=True) if outcome is not None]
        for _ in batch:
            self._waiting.popleft()
        self._waiting.extendleft(reversed(failed))
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return bool(self._waiting)

    async def finish(self) -> None:
        """Tell what is left, within a few seconds; called when nothing else does."""
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                while self._waiting:
                    await self._tell_some()
        except (ServiceError, TimeoutError):
            self._give_up(len(self._waiting))

    def _give_up(self, number: int) -> None:
        self._untold.inc(number)
        _log.error("not in the audit log", extra={"fields": {"untold": number}})


@asynccontextmanager
async def telling(rabbitmq_url: str, service: str, metrics: CollectorRegistry) -> AsyncIterator[Teller]:
    """A teller that works while the block runs, and is done with it after it. `service` names us to the broker."""
    untold = Counter("deeds_untold_total", "what was done and the audit log does not say", registry=metrics)
    async with open_connection(rabbitmq_url, f"{service} tells") as connection:
        teller = Teller(Publisher(connection, declare_deeds), untold)
        try:
            async with in_background(teller.run()):
                yield teller
        finally:
            await teller.finish()
