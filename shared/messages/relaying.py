"""Publishes what an outbox holds, with confirms, and has what was confirmed forgotten: each message at least once.

Each store says for itself how some are taken and how they are settled.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from shared.loops import keep
from shared.messages.publishing import OutgoingMessage, Publisher

_log = logging.getLogger("shared.messages")
_IDLE_SECONDS = 1.0
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that nobody else publishes meanwhile, oldest first; `settle` has those it is given forgotten.

    It is called once, also for an empty batch, and is given all that were published.
    """

    messages: Sequence[OutgoingMessage]
    settle: Callable[[Iterable[OutgoingMessage]], Awaitable[None]]


class Waiting(Protocol):
    """What waits in a store to be published."""

    wake: asyncio.Event
    """Set when there is something new."""

    def taken(self, limit: int) -> AbstractAsyncContextManager[Batch]:
        """Up to `limit` messages through the block. Raises Unavailable."""


class OutboxRelay:
    """Publishes oldest first, until it is stopped.

    In order: what comes after a message that was not confirmed is published again with it, so that of two the later one
    is also the last that is told. Otherwise it is settled whatever becomes of its neighbour.
    """

    def __init__(
        self, waiting: Waiting, publisher: Publisher, *, at_once: int = _AT_ONCE, keeps_order: bool = True
    ) -> None:
        self._waiting, self._publisher = waiting, publisher
        self._at_once, self._keeps_order = at_once, keeps_order

    async def run(self) -> None:
        """Never returns; a store or broker that is away is waited for."""
        await keep(self._publish_some, log=_log, every_seconds=_IDLE_SECONDS, wake=self._waiting.wake)

    async def _publish_some(self) -> bool:
        """Whether there may be more."""
        await self._publisher.ready()  # before others are kept from it
        return await self.publish_batch() >= self._at_once

    async def publish_batch(self) -> int:
        """Publish up to one batch; returns how many messages it took. Raises Unavailable, Unroutable where any was not
        confirmed, after the others are settled."""
        async with self._waiting.taken(self._at_once) as batch:
            outcomes = await asyncio.gather(*map(self._publisher.publish, batch.messages), return_exceptions=True)
            await batch.settle(self._confirmed(batch.messages, outcomes))
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return len(batch.messages)

    def _confirmed(
        self, messages: Sequence[OutgoingMessage], outcomes: Sequence[BaseException | None]
    ) -> list[OutgoingMessage]:
        sent = list(zip(messages, outcomes, strict=True))
        if self._keeps_order:
            sent = list(itertools.takewhile(lambda one: one[1] is None, sent))
        return [message for message, outcome in sent if outcome is None]
