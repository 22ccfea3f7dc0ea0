"""A service of ours as any other: `python -m bench.apps.ours`, with the environment of a service of the suite.

`guarded` and `open` are one route in one app, with a caller and without. `echo` has a caller and a validated body.
Everything else a service gets by default is on all three: request id, trace id, metrics, access log.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI

from bench.apps.shapes import ITEM, EchoRead, EchoRequest, ItemRead
from shared.door import GuardedRoute, requires
from shared.identity import Caller
from shared.platform import open_platform, serve
from shared.settings import ClientSettings
from shared.web import create_service

SERVICE = "agents"  # whose environment and client secret it runs with
Reader = Annotated[Caller, requires("agents:read")]
router = APIRouter(prefix="/api/v1/bench", route_class=GuardedRoute)


@router.get("/guarded", response_model=ItemRead)
async def guarded(_: Reader) -> ItemRead:
    return ITEM


@router.get("/open", response_model=ItemRead)
async def unguarded() -> ItemRead:
    return ITEM


@router.post("/echo", response_model=EchoRead)
async def echo(body: EchoRequest, _: Reader) -> EchoRequest:
    return body


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with open_platform(app) as platform:
        yield {"platform": platform}


def create_app() -> FastAPI:
    settings = ClientSettings()
    return create_service(SERVICE, settings, title="bench", description="", lifespan=lifespan, routers=[router])


if __name__ == "__main__":
    serve(create_app)
