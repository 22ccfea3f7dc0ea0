"""Starts chat as a process of its own, beside a model and neighbours that a test can break."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx

from local.suite import Suite
from tests.fixtures.http import authorities
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.warm import Program
from tests.fixtures.warm import started as launch
from tests.services.chat.client import until
from tests.services.chat.servers import ModelServer, Neighbours, beside, serving

Started = tuple[Program, httpx.AsyncClient]
StartProcess = Callable[..., AbstractAsyncContextManager[Started]]


def process_beside(
    suite: Suite, auth: httpx.AsyncClient, model: ModelServer, neighbours: Neighbours, person: User
) -> StartProcess:
    """`async with started(SHUTDOWN_SECONDS="2") as (process, client)`: asked by `person`, and killed at the end."""

    @asynccontextmanager
    async def started(**overrides: str) -> AsyncIterator[Started]:
        async with serving(beside(model, neighbours)) as address:
            services = {"auth": str(auth.base_url), "agents": address, "vectors": address}
            environment = suite.environment("chat") | {
                "DISCOVERY": "static",
                "STATIC_SERVICES": json.dumps(services),
                "LLM_URL": f"{address}/v1",
                "LLM_MODEL": "scripted",
                "PORT": str(free_port()),  # the suite's own chat may be running
                **overrides,
            }
            process = await launch("services.chat", environment=environment)
            url = f"http://127.0.0.1:{environment['PORT']}"
            try:
                async with httpx.AsyncClient(
                    base_url=url, headers=person.headers, timeout=PATIENCE_SECONDS, verify=authorities()
                ) as client:
                    await until(lambda: _answers(client))
                    yield process, client
            finally:
                process.kill()
                await process.ended()

    return started


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/live")).is_success
    except httpx.TransportError:
        return False
