"""Publishes what became of runs, as long as a replica runs. Nobody who talks to an agent waits for the broker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from redis.asyncio import Redis

from services.chat.runs.outbox import Outbox
from shared.loops import in_background
from shared.messages import (
    OUTBOX_REMEDY,
    RABBITMQ_REMEDY,
    OutboxRelay,
    Publisher,
    declare_events,
    open_connection,
    open_probe,
)


@asynccontextmanager
async def published(app: FastAPI, redis: Redis) -> AsyncIterator[Outbox]:
    """The outbox, emptied by this process or another while the block runs."""
    rabbitmq_url = app.state.settings.rabbitmq_url.get_secret_value()
    async with open_connection(rabbitmq_url, "chat publisher") as broker, open_probe(broker) as probe:
        app.state.health.add("rabbitmq", probe.check, hard=False, remedy=RABBITMQ_REMEDY)
        outbox = Outbox(redis, app.state.metrics.registry)
        app.state.health.add("outbox", outbox.check, hard=False, remedy=OUTBOX_REMEDY)
        relay = OutboxRelay(outbox, Publisher(broker, declare_events))
        async with in_background(relay.run(), outbox.run()):
            yield outbox
