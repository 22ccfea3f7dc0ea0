"""Publishes what the outbox holds, with confirms, and deletes what was confirmed: each event at least once."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from services.agents.graph import Graph
from services.agents.outbox import Outbox
from shared.loops import in_background, keep
from shared.messages import OUTBOX_REMEDY, RABBITMQ_REMEDY, Publisher, declare_events, open_connection, open_probe

_log = logging.getLogger("agents.relay")
_BATCH: Final = 100
_IDLE_SECONDS: Final = 1.0


class OutboxRelay:
    """Publishes oldest first, until it is stopped."""

    def __init__(self, outbox: Outbox, publisher: Publisher) -> None:
        self._outbox, self._publisher = outbox, publisher

    async def run(self) -> None:
        """Never returns; a store or broker that is away is waited for."""
        await keep(self._publish_some, log=_log, every_seconds=_IDLE_SECONDS, wake=self._outbox.wake)

    async def _publish_some(self) -> bool:
        """Whether there may be more."""
        await self._publisher.ready()  # before others are kept from it
        return await self._outbox.oldest() is not None and await self.publish_batch() >= _BATCH

    async def publish_batch(self) -> int:
        """Publish up to one batch; returns how many events it took. Raises Unavailable when any was not confirmed.

        What was confirmed before the first that was not is deleted. What comes after it is published again with it, so
        that of two events the later one is also the last that is told.
        """
        batch = await self._outbox.claim(_BATCH)
        outcomes = await asyncio.gather(*map(self._publisher.publish, batch), return_exceptions=True)
        confirmed = itertools.takewhile(lambda sent: sent[1] is None, zip(batch, outcomes, strict=True))
        await self._outbox.settle(message for message, _ in confirmed)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return len(batch)


@asynccontextmanager
async def published(app: FastAPI, graph: Graph) -> AsyncIterator[Outbox]:
    """The outbox, emptied by this process or another while the block runs. Nobody who writes waits for the broker."""
    rabbitmq_url = app.state.settings.rabbitmq_url.get_secret_value()
    async with open_connection(rabbitmq_url, "agents publisher") as broker, open_probe(broker) as probe:
        app.state.health.add("rabbitmq", probe.check, hard=False, remedy=RABBITMQ_REMEDY)
        outbox = Outbox(graph)
        app.state.health.add("outbox", outbox.check, hard=False, remedy=OUTBOX_REMEDY)
        async with in_background(OutboxRelay(outbox, Publisher(broker, declare_events)).run()):
            yield outbox
