"""An HTTP server that stands for services, with one listener a name.

`python -m tests.gateway.upstream agents=10601 chat=10602 …`. It answers what it was asked, and by `x-test` misbehaves:
`hang`, `hang-up`, `stream` (its second event waits for a request to `/release`), `slow` (answers after `/release`),
`fail` (503 of its own). What carries `x-journal` is noted in the file of that name, by its request id.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Upstream:
    """One service's stand-in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.released = asyncio.Event()
        self.waiting = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = await _body(receive)
        if scope["path"] == "/release":
            await self.waiting.wait()
            self.released.set()
        if journal := headers.get("x-journal"):
            _note(journal, headers["x-request-id"])
        match headers.get("x-test"):
            case "hang":
                await asyncio.sleep(60)
            case "hang-up":
                os.abort()
            case "stream":
                await self._stream(send)
                return
            case "slow":
                self.waiting.set()
                await self.released.wait()
            case "fail":
                await _answer(send, 503, b'{"code":"own.unavailable"}', b"application/problem+json")
                return
        seen = {
            "service": self.name,
            "pid": os.getpid(),
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "headers": headers,
            "body_bytes": len(body),
        }
        seen_bytes = json.dumps(seen).encode()
        # Once more beside the body, which HEAD leaves out; without what came in headers, which may be as long.
        told = json.dumps({name: value for name, value in seen.items() if name != "headers"}).encode()
        await _answer(send, 200, seen_bytes, b"application/json", told)

    async def _stream(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"id: 1\ndata: first\n\n", "more_body": True})
        self.waiting.set()
        await self.released.wait()
        await send({"type": "http.response.body", "body": b"id: 2\ndata: second\n\n"})


def _note(journal: str, request_id: str) -> None:
    """One write of one line, so that instances may share the file."""
    with Path(journal).open("ab", buffering=0) as file:
        file.write(f"{request_id}\n".encode())


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _answer(send: Send, status: int, body: bytes, media_type: bytes, seen: bytes = b"") -> None:
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    headers += [(b"x-seen", seen)] if seen else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def main() -> None:
    """Serve every `name=port` of the command line."""
    servers = []
    for argument in sys.argv[1:]:
        name, port = argument.split("=")
        config = uvicorn.Config(
            Upstream(name), host="127.0.0.1", port=int(port), lifespan="off", log_level="warning", timeout_keep_alive=75
        )
        servers.append(uvicorn.Server(config))
    await asyncio.gather(*(server.serve() for server in servers))


if __name__ == "__main__":
    asyncio.run(main())
