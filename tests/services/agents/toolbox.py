"""A real server that tools of tests ask."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tests.fixtures.ports import free_port


async def echo(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.scope["query_string"].decode(),
            "headers": dict(request.headers),
            "body": (await request.body()).decode(),
        }
    )


async def say(request: Request) -> Response:
    """What the query asks for."""
    query = request.query_params
    body = query.get("text", "") * int(query.get("times", 1))
    return Response(body, int(query.get("status", 200)), media_type=query.get("type", "text/plain"))


async def redirect(request: Request) -> Response:
    return RedirectResponse("/say?text=followed")


async def hang(request: Request) -> Response:
    await asyncio.Event().wait()
    return PlainTextResponse("never")


BOTH = ["GET", "POST"]
TOOLBOX = Starlette(
    routes=[
        Route("/say", say, methods=BOTH),
        Route("/redirect", redirect, methods=BOTH),
        Route("/hang", hang, methods=BOTH),
        Route("/{rest:path}", echo, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]
)


@asynccontextmanager
async def serving(app: ASGIApp, lifespan: str = "off") -> AsyncIterator[str]:
    """Its address, served in this process."""
    config = uvicorn.Config(
        app,
        port=free_port(),
        log_config=None,
        lifespan=lifespan,  # type: ignore[arg-type]
        timeout_graceful_shutdown=0,
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sets a plain flag
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{config.port}"
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await running
