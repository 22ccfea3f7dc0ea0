"""A process that is at work on as much as it takes says so in its own words, and lives."""

import asyncio

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from shared.limits import GatewaysWord
from shared.telemetry import Metrics
from shared.watchdog import Watchdog
from shared.web import middleware
from shared.web.middleware import EdgeMiddleware


class Held:
    """An app that answers once it may; at `/health/live` at once."""

    def __init__(self) -> None:
        self.begun, self.are_two, self.go_on = 0, asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/health/live":
            self.begun += 1
            if self.begun == 2:
                self.are_two.set()
            await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


async def test_more_than_it_takes_are_refused_until_one_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "MOST_AT_ONCE", 2)
    app, metrics = Held(), Metrics()
    edge = EdgeMiddleware(
        app, metrics=metrics, watchdog=Watchdog(metrics.outlived), limit_seconds=50, gateway=GatewaysWord(None)
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://a") as client:
        two = [asyncio.create_task(client.get("/")) for _ in range(2)]
        await app.are_two.wait()
        refused, alive = await client.post("/", content=b"unread"), await client.get("/health/live")
        app.go_on.set()
        taken = [(await one).status_code for one in two]
        after = await client.get("/")

    assert (refused.status_code, refused.json()["code"]) == (503, "common.unavailable")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-request-id"]
    assert (app.begun, alive.status_code, taken, after.status_code) == (3, 200, [200, 200], 200)
