"""A service of one route that never answers: `/hang`, and `/stream` that has begun to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from shared.platform import serve
from shared.settings import ServiceSettings
from shared.web import create_service


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    assert app.openapi_schema, "the document is made while no request can wait for it"
    yield


async def hang(request: Request) -> Response:
    request.app.state.asked = True
    await asyncio.Event().wait()
    return Response()


async def asked(request: Request) -> Response:
    return Response(str(getattr(request.app.state, "asked", False)))


async def begun() -> AsyncIterator[bytes]:
    yield b"begun"
    await asyncio.Event().wait()


async def stream(_request: Request) -> Response:
    return StreamingResponse(begun())


def create_app() -> FastAPI:
    app = create_service("slow", ServiceSettings(), title="Slow", description="", lifespan=lifespan, routers=[])
    app.add_route("/hang", hang)
    app.add_route("/asked", asked)
    app.add_route("/stream", stream)
    return app


if __name__ == "__main__":
    serve(create_app)
