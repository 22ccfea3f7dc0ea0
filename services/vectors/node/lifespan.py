"""Opens the data directory, which is this process's alone, and closes it last."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from services.vectors.backends import CATALOGUE_REMEDY, open_kept
from services.vectors.node.service import NodeService
from services.vectors.settings import NodeSettings
from shared.health import STORE_REMEDY
from shared.platform import Platform, open_platform


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    node: NodeService


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: NodeSettings = app.state.settings
    async with AsyncExitStack() as stack:
        kept = await stack.enter_async_context(open_kept(settings))
        app.state.health.add("catalogue", kept.catalogue.check, remedy=CATALOGUE_REMEDY)
        for name, engine in kept.engines.items():
            # Soft: the others still serve. Replicas look whether one has lost collections.
            app.state.health.add(name.component, engine.check, hard=False, remedy=STORE_REMEDY)
        platform = await stack.enter_async_context(open_platform(app))
        yield State(
            platform=platform,
            node=NodeService(kept.catalogue, kept.engines, app.state.storage, settings.client_id),
        )
