"""The limit of what stands between a client and a model: bytes handed on as they come, by the same client and server.

`UPSTREAM` is where they come from.
"""

import os
from typing import Any

import httpx

from bench.apps.living import live

_TIMEOUT = httpx.Timeout(30)
_LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=256)


class Relay:
    """An ASGI app that copies the answers of another server."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(base_url=os.environ["UPSTREAM"], timeout=_TIMEOUT, limits=_LIMITS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send, self._client.aclose)
            return
        body = (await receive()).get("body", b"")
        async with self._client.stream(scope["method"], scope["path"], content=body) as answer:
            headers = [(b"content-type", answer.headers["content-type"].encode())]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def relay() -> Relay:
    """For uvicorn's `--factory`."""
    return Relay()
