"""A deadline goes from call to call, only ever shortens, and work past it is not started."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from shared import deadlines
from shared.errors import UpstreamTimeout
from shared.limits import GatewaysWord
from shared.telemetry import Metrics
from shared.watchdog import Watchdog
from shared.web.middleware import EdgeMiddleware
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.unit.shared.test_http import client_of, neighbour


class Slow:
    """An app that answers after `seconds`, with the time it was left."""

    def __init__(self, seconds: float = 0.0, content_type: bytes = b"text/plain") -> None:
        self.seconds, self.content_type = seconds, content_type
        self.left: list[float] = []
        self.finished = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.left.append(deadlines.remaining(1000))
        if b"event-stream" in self.content_type:
            await self._begin(send)
            await asyncio.sleep(self.seconds)
        else:
            await asyncio.sleep(self.seconds)
            await self._begin(send)
        await send({"type": "http.response.body", "body": b"done"})
        self.finished += 1

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", self.content_type)]})


async def asked(
    app: Slow,
    headers: dict[str, str] | None = None,
    limit_seconds: float = 50.0,
    body: AsyncIterator[bytes] | None = None,
) -> httpx.Response:
    """The answer to one request, while a watchdog looks."""
    metrics = Metrics()
    watchdog = Watchdog(metrics.outlived)
    edge = EdgeMiddleware(
        app, metrics=metrics, watchdog=watchdog, limit_seconds=limit_seconds, gateway=GatewaysWord(None)
    )
    looking = asyncio.create_task(watchdog.run())
    try:
        transport = httpx.ASGITransport(edge)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
            return await asyncio.create_task(client.request("GET", "/", headers=headers, content=body))
    finally:
        looking.cancel()


async def test_a_request_has_the_limit_of_its_service() -> None:
    app, began = Slow(), time.monotonic()
    await asked(app)

    assert 50 - (time.monotonic() - began) <= app.left[0] <= 50


@pytest.mark.parametrize(("told", "left"), [("20000", 20), ("999999", 50), ("soon", 50), ("-1", 50), ("9" * 10, 50)])
async def test_a_caller_can_only_shorten_it(told: str, left: float) -> None:
    app, began = Slow(), time.monotonic()
    await asked(app, {deadlines.HEADER: told})

    assert left - (time.monotonic() - began) <= app.left[0] <= left


async def test_work_for_a_caller_who_has_gone_is_not_begun() -> None:
    app = Slow()
    answer = await asked(app, {deadlines.HEADER: "0"})

    assert (answer.status_code, answer.json()["code"]) == (504, "common.out_of_time")
    assert app.left == []


async def test_waiting_is_cut_to_what_the_caller_has_left() -> None:
    app, began = Slow(seconds=2 * PATIENCE_SECONDS), time.monotonic()
    answer = await asked(app, {deadlines.HEADER: "100"})

    assert (answer.status_code, answer.json()["code"]) == (504, "common.out_of_time")
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert app.finished == 0


@pytest.mark.parametrize("headers", [{deadlines.HEADER: "100"}, {}])
async def test_a_request_that_is_out_of_time_is_not_heard_out(headers: dict[str, str]) -> None:
    """Its caller has waited long enough, and its body may never end."""
    began = time.monotonic()

    answer = await asked(Slow(seconds=2 * PATIENCE_SECONDS), headers, limit_seconds=0.1, body=endless())

    assert answer.status_code == 504
    assert time.monotonic() - began < PATIENCE_SECONDS


async def endless() -> AsyncIterator[bytes]:
    yield b"a"
    await asyncio.sleep(2 * PATIENCE_SECONDS)


async def test_a_request_that_outlives_its_limit_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    answer = await asked(Slow(seconds=2 * PATIENCE_SECONDS), limit_seconds=0.1)

    assert (answer.status_code, answer.json()["code"]) == (504, "common.out_of_time")
    [record] = [one for one in caplog.records if "outlived" in one.message]
    assert "Slow.__call__" in record.fields["stack"]  # type: ignore[attr-defined]


async def test_a_stream_is_not() -> None:
    app = Slow(seconds=1.2, content_type=b"text/event-stream")
    answer = await asked(app, {deadlines.HEADER: "100"}, limit_seconds=0.1)

    assert (answer.text, app.finished) == ("done", 1)


async def test_a_call_tells_how_long_it_is_waited_for() -> None:
    async with neighbour() as address, client_of(address) as client:
        began = time.monotonic()
        with deadlines.limited(30):
            told = (await client.call("other", "GET", "/echo", timeout_seconds=60)).json()["headers"]
        took_ms = 1000 * (time.monotonic() - began)

    assert 28_500 - took_ms < int(told[deadlines.HEADER]) < 30_000


async def test_a_call_waits_no_longer_than_whoever_asked() -> None:
    began = time.monotonic()
    async with neighbour() as address, client_of(address) as client:
        with deadlines.limited(0.1), pytest.raises(UpstreamTimeout):
            await client.call("other", "GET", "/never", timeout_seconds=2 * PATIENCE_SECONDS)

    assert time.monotonic() - began < PATIENCE_SECONDS


async def test_past_the_deadline_nothing_is_sent() -> None:
    async with client_of("http://127.0.0.1:1") as client:
        with deadlines.limited(0), pytest.raises(UpstreamTimeout):  # a connection would be refused: Unavailable
            await client.call("other", "GET", "/echo")


async def test_what_goes_on_by_itself_has_a_limit_of_its_own() -> None:
    with deadlines.limited(1):
        with deadlines.of_its_own(1000):
            assert 900 < deadlines.remaining(10_000) <= 1000
        with deadlines.limited(100):
            assert deadlines.remaining(1000) <= 1
