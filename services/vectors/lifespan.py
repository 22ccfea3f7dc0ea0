"""Opens what vectors runs on, in order, and closes it in reverse."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from services.vectors.collections import CollectionService
from services.vectors.engines import Backends, open_backends
from services.vectors.records import RecordService
from shared.platform import Platform, open_platform


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    backends: Backends
    collections: CollectionService
    records: RecordService


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    async with AsyncExitStack() as stack:
        backends = await stack.enter_async_context(open_backends(app.state.settings))
        for engine in backends.engines.values():
            app.state.health.add(engine.name.component, engine.check, hard=False)  # the others still serve
        collections = CollectionService(backends.catalogue, backends.engines, backends.embedder.dimension)
        records = RecordService(collections, backends.embedder)
        platform = await stack.enter_async_context(open_platform(app))
        yield State(platform=platform, backends=backends, collections=collections, records=records)
