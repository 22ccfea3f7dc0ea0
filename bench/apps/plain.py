"""What ours is held against: FastAPI with the same models and nothing else, and an ASGI function that copies bytes."""

from typing import Any

from fastapi import FastAPI

from bench.apps.living import live
from bench.apps.shapes import EchoRead, EchoRequest


def bare() -> FastAPI:
    """FastAPI as its first page shows it."""
    app = FastAPI()

    @app.post("/api/v1/bench/echo", response_model=EchoRead)
    async def echo(body: EchoRequest) -> EchoRequest:
        return body

    return app


def raw() -> Any:
    """Bytes in, bytes out: the server's own limit."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        body = (await receive())["body"]
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
