"""Publishes what the outbox of the graph holds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from services.agents.graph import Graph
from services.agents.outbox import Outbox
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
async def published(app: FastAPI, graph: Graph) -> AsyncIterator[Outbox]:
    """The outbox, emptied by this process or another while the block runs. Nobody who writes waits for the broker."""
    rabbitmq_url = app.state.settings.rabbitmq_url.get_secret_value()
    async with open_connection(rabbitmq_url, "agents publisher") as broker, open_probe(broker) as probe:
        app.state.health.add("rabbitmq", probe.check, hard=False, remedy=RABBITMQ_REMEDY)
        outbox = Outbox(graph)
        app.state.health.add("outbox", outbox.check, hard=False, remedy=OUTBOX_REMEDY)
        async with in_background(OutboxRelay(outbox, Publisher(broker, declare_events)).run()):
            yield outbox
