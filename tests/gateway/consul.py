"""A server that answers Consul's health endpoint with blocking queries, for tests that need to steer the answers.

`PUT /test/<service>` with a JSON list of `host:port` changes what is passing; `POST /test/forget` restarts the index.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import uvicorn

_HEALTH = "/v1/health/service/"
_CONTROL = "/test/"


class Consul:
    """The catalogue: addresses by service, and one index that every change raises."""

    def __init__(self) -> None:
        self.index = time.time_ns()  # another one after each start
        self.services: dict[str, list[str]] = {}
        self.changed = asyncio.Condition()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return
        path, body = scope["path"], (await receive()).get("body", b"")
        if path.startswith(_CONTROL):
            await self._control(path.removeprefix(_CONTROL), body)
            answer: Any = {}
        else:
            answer = await self._passing(path.removeprefix(_HEALTH), parse_qs(scope["query_string"].decode()))
        headers = [(b"content-type", b"application/json"), (b"x-consul-index", str(self.index).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    async def _control(self, what: str, body: bytes) -> None:
        async with self.changed:
            if what == "forget":
                self.index, self.services = 1, {}
            else:
                self.index += 1
                self.services[what] = json.loads(body)
            self.changed.notify_all()

    async def _passing(self, service: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        index, wait = int(query.get("index", ["0"])[0]), float(query.get("wait", ["0s"])[0].removesuffix("s"))
        known = self.services.get(service)
        async with self.changed:
            try:
                async with asyncio.timeout(wait):
                    await self.changed.wait_for(lambda: index != self.index or self.services.get(service) != known)
            except TimeoutError:
                pass
        return [_entry(address) for address in self.services.get(service, [])]


def _entry(address: str) -> dict[str, Any]:
    host, port = address.split(":")
    return {"Node": {"Address": host}, "Service": {"Address": "", "Port": int(port)}, "Checks": []}


if __name__ == "__main__":
    uvicorn.run(Consul(), host="127.0.0.1", port=int(sys.argv[1]), lifespan="off", log_level="warning")
