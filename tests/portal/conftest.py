"""Small real servers in the services' place, so that each state of the system can be put on at will."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from asgi_lifespan import LifespanManager
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.portal.main import create_app
from gateway.portal.settings import Settings
from services.topology import SERVICES
from tests.fixtures.patience import PATIENCE_SECONDS


@dataclass
class Upstream:
    """One instance of a service: says of its stores what `stores` holds."""

    name: str
    stores: dict[str, str]
    document: dict[str, Any]
    address: str = ""
    asked: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.released.set()

    def breaks(self, store: str, *, soft: bool = False) -> None:
        self.stores[store] = "warn" if soft else "fail"

    def hangs(self) -> None:
        self.released.clear()

    async def ready(self, _: Request) -> Response:
        self.asked += 1
        await self.released.wait()
        worst = "fail" if "fail" in self.stores.values() else "warn" if "warn" in self.stores.values() else "pass"
        checks = {
            store: {"status": status, "latency_ms": 0.5}
            | ({} if status == "pass" else {"detail": f"{store} does not answer"})
            for store, status in self.stores.items()
        }
        body = {"status": worst, "service": self.name, "version": "0.1.0", "checks": checks}
        return JSONResponse(body, 503 if worst == "fail" else 200, media_type="application/health+json")

    async def openapi(self, _: Request) -> Response:
        return JSONResponse(self.document)


@dataclass
class System:
    """All upstreams by service, and the gateway's status address."""

    instances: dict[str, list[Upstream]]
    gateway_status_url: str

    def __getitem__(self, service: str) -> Upstream:
        return self.instances[service][0]

    @property
    def static_services(self) -> dict[str, str]:
        return {name: ",".join(one.address for one in found) for name, found in self.instances.items() if found}


def a_document(service: str) -> dict[str, Any]:
    """A small OpenAPI document: one schema like everyone's, one that only shares its name with the others'."""
    item = {"type": "object", "properties": {f"{service}_id": {"type": "string"}}}
    page = {"type": "object", "properties": {"items": {"type": "array", "items": _ref("Item")}}}
    problem = {"type": "object", "properties": {"code": {"type": "string"}}}
    operation = {
        "operationId": f"{service}_list",
        "tags": [service],
        "security": [{"bearer": [f"{service}:read"]}],
        "responses": {
            "200": {"description": "a page", "content": {"application/json": {"schema": _ref("Page")}}},
            "404": {"description": "no", "content": {"application/problem+json": {"schema": _ref("Problem")}}},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": service, "version": "0.1.0"},
        "paths": {f"/api/v1/{service}/list": {"get": operation}},
        "components": {
            "schemas": {"Item": item, "Page": page, "Problem": problem},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


class Machine:
    """A real server on several ports of loopback: each port answers as the app that it was lent to."""

    def __init__(self) -> None:
        self.sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
        self._apps: dict[int, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._apps[scope["server"][1]](scope, receive, send)

    @contextmanager
    def serving(self, *routes: Route) -> Iterator[str]:
        """The address of a server with these routes."""
        ports = [one.getsockname()[1] for one in self.sockets]
        port = next(port for port in ports if port not in self._apps)
        self._apps[port] = Starlette(routes=list(routes))
        yield f"http://127.0.0.1:{port}"
        del self._apps[port]

    @contextmanager
    def instance(self, service: str) -> Iterator[Upstream]:
        """One healthy instance of `service`."""
        upstream = Upstream(service, dict.fromkeys(SERVICES[service].stores, "pass"), a_document(service))
        ready = Route("/health/ready", upstream.ready)
        with self.serving(ready, Route(f"/api/v1/{service}/openapi.json", upstream.openapi)) as upstream.address:
            yield upstream
            upstream.released.set()


@pytest.fixture(scope="session")
async def machine() -> AsyncIterator[Machine]:
    machine = Machine()
    server = uvicorn.Server(uvicorn.Config(machine, log_config=None, ws="none", lifespan="off"))
    running = asyncio.create_task(server.serve(machine.sockets))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait on
            await asyncio.sleep(0.005)
    yield machine
    server.should_exit = server.force_exit = True
    await running


async def _gateway_ready(_: Request) -> Response:
    return Response("LIVE")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is given up on, and nothing kept is asked for again, because the machine stands still for two seconds."""
    for place in ("health.PROBE_SECONDS", "health._KEPT_SECONDS", "documents._CALL_SECONDS", "documents._KEPT_SECONDS"):
        monkeypatch.setattr(f"gateway.portal.{place}", PATIENCE_SECONDS)


@pytest.fixture
def system(machine: Machine) -> Iterator[System]:
    """One healthy instance of every service, and a gateway that serves."""
    with ExitStack() as stack:
        instances = {name: [stack.enter_context(machine.instance(name))] for name in SERVICES}
        gateway = stack.enter_context(machine.serving(Route("/ready", _gateway_ready)))
        yield System(instances, f"{gateway}/ready")


@asynccontextmanager
async def a_portal(system: System, **overrides: Any) -> AsyncIterator[httpx.AsyncClient]:
    """The portal's app with its lifespan and all middleware, before `system`."""
    values = {
        "environment": "local",
        "discovery": "static",
        "static_services": system.static_services,
        "gateway_status_url": system.gateway_status_url,
    }
    app = create_app(Settings(**(values | overrides)))
    async with LifespanManager(app, startup_timeout=PATIENCE_SECONDS, shutdown_timeout=PATIENCE_SECONDS) as manager:
        transport = httpx.ASGITransport(manager.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://portal") as client:
            yield client


@pytest.fixture
async def portal(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with a_portal(system) as client:
        yield client
