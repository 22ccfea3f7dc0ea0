"""Opens chat's real app on a port of its own, beside a model and neighbours that a test can break."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from blockbuster import BlockBuster

from local.suite import Suite
from tests.fixtures.apps import build_app
from tests.fixtures.http import authorities
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.chat.client import OpenChat
from tests.services.chat.servers import ModelServer, Neighbours, beside, serving

# What a test asks of is in one process with chat, and stands still with it: no limit of chat's is to be met by that.
PATIENT: Final = {
    "agent_seconds": PATIENCE_SECONDS,
    "search_seconds": PATIENCE_SECONDS,
    "submit_seconds": PATIENCE_SECONDS,
    "llm_connect_seconds": PATIENCE_SECONDS / 2,
    "llm_between_tokens_seconds": 1.5 * PATIENCE_SECONDS,
}


def chat_beside(suite: Suite, auth: httpx.AsyncClient, model: ModelServer, neighbours: Neighbours) -> OpenChat:
    """`async with opened(max_runs=1) as client`: one replica, on the suite's stores unless settings say otherwise."""

    @asynccontextmanager
    async def opened(services: dict[str, str] | None = None, **overrides: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with serving(beside(model, neighbours)) as address:
            found = {"auth": str(auth.base_url), "agents": address, "vectors": address, "tasks": address} | (
                services or {}
            )
            own = {"static_services": found, "llm_url": f"{address}/v1", "llm_model": "scripted"}
            app = build_app(suite, "chat", **PATIENT | own | overrides)
            async with (
                serving(app, lifespan="on") as url,
                httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS, verify=authorities()) as client,
            ):
                detector = BlockBuster(scanned_modules=["services", "shared"])
                detector.activate()
                try:
                    yield client
                finally:
                    detector.deactivate()

    return opened
