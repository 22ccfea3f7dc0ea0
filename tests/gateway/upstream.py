"""An HTTP server that stands for services, with one listener a name.

`python -m tests.gateway.upstream agents=10601 chat=10602 …`; after a port may stand the file of a certificate, `:…`,
for TLS. It answers what it was asked, and by `x-test` misbehaves: `hang`, `hang-up`, `stream` (its second event waits
for a request to `/release` with the same `x-turn`), `slow` (answers after `/release`), `fail` (503 of its own). What
carries `x-journal` is noted in the file of that name, by its request id.
"""

import asyncio
import json
import os
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


@dataclass
class Turn:
    """Those who wait for `/release`, and their leave; of each `x-turn` for itself."""

    released: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)


class Upstream:
    """One service's stand-in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turns: defaultdict[str, Turn] = defaultdict(Turn)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body = await _body(receive)
        turn = self.turns[headers.get("x-turn", "")]
        if scope["path"] == "/release":
            await turn.waiting.wait()
            turn.released.set()
        if journal := headers.get("x-journal"):
            _note(journal, headers["x-request-id"])
        match headers.get("x-test"):
            case "hang":
                await asyncio.sleep(60)
            case "hang-up":
                os.abort()
            case "stream":
                await _stream(send, turn)
                return
            case "slow":
                turn.waiting.set()
                await turn.released.wait()
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


async def _stream(send: Send, turn: Turn) -> None:
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"id: 1\ndata: first\n\n", "more_body": True})
    turn.waiting.set()
    await turn.released.wait()
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
    apps: dict[str, Upstream] = {}
    for argument in sys.argv[1:]:
        name, _, place = argument.partition("=")
        port, _, certificate = place.partition(":")
        app = apps.setdefault(name, Upstream(name))
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=int(port),
            lifespan="off",
            log_level="warning",
            timeout_keep_alive=75,
            ssl_certfile=certificate or None,
        )
        servers.append(uvicorn.Server(config))
    await asyncio.gather(*(server.serve() for server in servers))


if __name__ == "__main__":
    asyncio.run(main())
