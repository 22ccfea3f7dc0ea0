"""Discovery over the real Consul: found, followed, kept while it is away."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from local.suite import Suite
from shared.calls import open_http_client
from shared.discovery import ConsulDiscovery, Registration
from shared.errors import Unavailable
from shared.schemas import new_id
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.fixtures.stores import consul_headers, consul_token


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with open_http_client(5) as client:
        yield client


@pytest.fixture
async def instance() -> AsyncIterator[int]:
    """The port of a real server that is live."""
    app = Starlette(routes=[Route("/health/live", lambda _: PlainTextResponse("ok"))])
    config = uvicorn.Config(app, port=free_port(), log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    yield config.port
    server.should_exit = True
    await serving


async def until(known: ConsulDiscovery, service: str, expected: list[str]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await known.instances(service) != expected:  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.05)


async def registered_at(suite: Suite, http: httpx.AsyncClient) -> dict[str, Any]:
    """What the agent says is registered there."""
    answer = await http.get(f"{suite.url('consul')}/v1/agent/services", headers=consul_headers(suite))
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def registration(suite: Suite, http: httpx.AsyncClient, service: str, port: int) -> Registration:
    return Registration(
        suite.url("consul"),
        http,
        service=service,
        instance_id=f"{service}-1",
        host="127.0.0.1",
        port=port,
        token=consul_token(suite),
    )


def discovery_of(suite: Suite, http: httpx.AsyncClient) -> ConsulDiscovery:
    return ConsulDiscovery(suite.url("consul"), http, consul_token(suite))


async def test_an_instance_is_found_until_it_leaves(suite: Suite, http: httpx.AsyncClient, instance: int) -> None:
    suite.up(["consul"])
    service = f"svc-{new_id()}"
    discovery, registered = discovery_of(suite, http), registration(suite, http, service, instance)

    registered.start()
    await until(discovery, service, [f"http://127.0.0.1:{instance}"])
    assert await discovery.choose(service) == f"http://127.0.0.1:{instance}"
    await registered.deregister()

    services = await registered_at(suite, http)
    assert f"{service}-1" not in services
    await discovery.aclose()


async def test_an_agent_that_forgot_is_told_again(suite: Suite, http: httpx.AsyncClient, instance: int) -> None:
    suite.up(["consul"])
    service, url = f"svc-{new_id()}", suite.url("consul")
    registered = registration(suite, http, service, instance)
    registered.start()

    async def known() -> bool:
        return f"{service}-1" in await registered_at(suite, http)

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await known():  # noqa: ASYNC110 - the agent's view has no event to wait on
            await asyncio.sleep(0.05)
        await http.put(f"{url}/v1/agent/service/deregister/{service}-1", headers=consul_headers(suite))
        while not await known():  # noqa: ASYNC110 - the agent's view has no event to wait on
            await asyncio.sleep(0.05)
    await registered.deregister()


async def test_the_last_known_address_serves_while_consul_is_away(
    suite: Suite, http: httpx.AsyncClient, instance: int
) -> None:
    suite.up(["consul"])
    service = f"svc-{new_id()}"
    discovery, registered = discovery_of(suite, http), registration(suite, http, service, instance)
    registered.start()
    await until(discovery, service, [f"http://127.0.0.1:{instance}"])

    suite.stop("consul")
    try:
        assert await discovery.choose(service) == f"http://127.0.0.1:{instance}"
        await registered.deregister()
    finally:
        suite.start("consul")
        await discovery.aclose()


async def test_a_service_nobody_registered_is_unavailable(suite: Suite, http: httpx.AsyncClient) -> None:
    suite.up(["consul"])
    discovery = discovery_of(suite, http)

    with pytest.raises(Unavailable):
        await discovery.choose(f"svc-{new_id()}")
    await discovery.aclose()
