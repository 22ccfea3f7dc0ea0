"""Calls between services: retried within a budget, and every failure named."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from shared.calls import RetryBudget, ServiceClient, open_http_client
from shared.discovery import StaticDiscovery
from shared.errors import Relayed, StorageFull, Unauthenticated, Unavailable, UpstreamFailed, UpstreamTimeout
from shared.telemetry import Metrics
from tests.fixtures.crowded import crowded
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port


async def echo(request: Request) -> Response:
    return JSONResponse({"headers": dict(request.headers)})


async def problem(request: Request) -> Response:
    status = int(request.path_params["status"])
    body = {"type": "t", "title": "Gone wrong", "status": status, "detail": "why", "code": "other.code"}
    return JSONResponse(body, status, headers={"Retry-After": "9"})


async def nonsense(request: Request) -> Response:
    return PlainTextResponse("<html>", 502)


async def never(request: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def pieces(request: Request) -> Response:
    async def sent() -> AsyncIterator[bytes]:
        yield b"a" * 100_000
        if request.query_params.get("then") == "silence":
            await asyncio.Event().wait()
        yield b"b" * 100_000

    length = {"content-length": "300000"} if request.query_params.get("then") == "break" else {}
    return StreamingResponse(sent(), headers=length)


@asynccontextmanager
async def neighbour(on: socket.socket | None = None) -> AsyncIterator[str]:
    """A real server that answers as told, on a socket that listens already or one of its own."""
    routes = [
        Route("/echo", echo),
        Route("/problem/{status}", problem, methods=["GET", "POST"]),
        Route("/nonsense", nonsense),
        Route("/never", never),
        Route("/pieces", pieces),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), port=free_port(), log_config=None, lifespan="off", timeout_graceful_shutdown=0
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve([on] if on else None))
    while not server.started:  # noqa: ASYNC110 - uvicorn sets a plain flag
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{config.port}"
    server.should_exit = True
    await serving


@asynccontextmanager
async def client_of(addresses: str) -> AsyncIterator[ServiceClient]:
    async with open_http_client(5) as http:
        yield ServiceClient(StaticDiscovery({"other": addresses}), http, Metrics())


async def test_the_callers_token_and_trace_travel_along() -> None:
    async with neighbour() as address, client_of(address) as client:
        answer = await client.call("other", "GET", "/echo", token="abc")

    assert answer.json()["headers"]["authorization"] == "Bearer abc"
    assert answer.json()["headers"]["host"] == address.removeprefix("http://")


async def test_a_refused_connection_is_tried_elsewhere_even_for_a_post() -> None:
    async with neighbour() as address, client_of(f"http://127.0.0.1:{free_port()},{address}") as client:
        for _ in range(4):
            with pytest.raises(Relayed):
                await client.call("other", "POST", "/problem/409")


class _Counting(StaticDiscovery):
    """Knows when so many connections could not be made."""

    def __init__(self, address: str, number: int) -> None:
        super().__init__({"other": address})
        self._left, self.are_ejected = number, asyncio.Event()

    def eject(self, service: str, address: str) -> None:
        super().eject(service, address)
        self._left -= 1
        if not self._left:
            self.are_ejected.set()


async def test_whoever_opens_many_connections_at_once_and_is_late_tries_them_again() -> None:
    """All of them, however few retries are affordable: nothing was sent."""
    with crowded() as host:
        discovery = _Counting(host.url, 12)
        async with open_http_client(5) as http, asyncio.timeout(PATIENCE_SECONDS):
            client = ServiceClient(discovery, http, Metrics())
            calls = [asyncio.create_task(client.call("other", "POST", "/problem/409")) for _ in range(12)]
            await discovery.are_ejected.wait()
            host.disperse()
            async with neighbour(host.listener):
                answers = await asyncio.gather(*calls, return_exceptions=True)

    assert [getattr(answer, "status", answer) for answer in answers] == [409] * 12


async def test_nobody_there_is_unavailable_by_name() -> None:
    async with client_of(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(Unavailable, match="other"):
            await client.call("other", "GET", "/echo")


async def test_a_decided_error_is_passed_on_with_its_code() -> None:
    async with neighbour() as address, client_of(address) as client:
        with pytest.raises(Relayed) as caught:
            await client.call("other", "GET", "/problem/409")

    assert (caught.value.status, caught.value.code, caught.value.detail) == (409, "other.code", "why")
    assert caught.value.headers == {"Retry-After": "9"}


@pytest.mark.parametrize(
    ("path", "error"),
    [("/problem/401", Unauthenticated), ("/problem/500", UpstreamFailed), ("/nonsense", UpstreamFailed)],
)
async def test_other_failures_have_their_families(path: str, error: type[Exception]) -> None:
    async with neighbour() as address, client_of(address) as client:
        with pytest.raises(error):
            await client.call("other", "GET", path)


async def test_a_neighbour_that_hangs_is_a_timeout() -> None:
    async with neighbour() as address, client_of(address) as client:
        with pytest.raises(UpstreamTimeout):
            await client.call("other", "GET", "/never", timeout_seconds=0.2)


def test_retries_stay_within_a_tenth_of_the_calls() -> None:
    budget = RetryBudget(ratio=0.1, minimum=2)
    retries = 0
    for _ in range(1000):
        budget.record_call()
        retries += budget.take()

    assert 95 <= retries <= 103


async def received(client: ServiceClient, path: str, seconds: float = PATIENCE_SECONDS) -> bytes:
    async with client.stream("other", path, token="t", timeout_seconds=seconds) as body:
        return b"".join([piece async for piece in body])


async def test_a_body_comes_in_pieces() -> None:
    async with neighbour() as address, client_of(address) as client:
        assert await received(client, "/pieces") == b"a" * 100_000 + b"b" * 100_000


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/pieces?then=break", Unavailable),
        ("/pieces?then=silence", UpstreamTimeout),
        ("/never", UpstreamTimeout),
        ("/problem/404", Relayed),
        ("/problem/401", Unauthenticated),
        ("/nonsense", UpstreamFailed),
    ],
)
async def test_a_body_that_does_not_come_whole_is_an_error_by_name(path: str, error: type[Exception]) -> None:
    async with neighbour() as address, client_of(address) as client:
        with pytest.raises(error):
            await received(client, path, seconds=1 if error is UpstreamTimeout else PATIENCE_SECONDS)
        assert client._metrics.upstream_calls.labels("other", "ok")._value.get() == 0


async def test_whoever_stops_reading_closes_the_body() -> None:
    async with neighbour() as address, client_of(address) as client:
        async with client.stream("other", "/pieces?then=silence", token="t", timeout_seconds=PATIENCE_SECONDS) as body:
            await anext(body)

        assert (await client.call("other", "GET", "/echo")).status_code == 200


async def kept_on_a_full_disk(client: ServiceClient) -> None:
    async with client.stream("other", "/pieces", token="t", timeout_seconds=PATIENCE_SECONDS) as body:
        await anext(body)
        raise StorageFull("mine")


async def test_what_fails_where_a_body_is_read_is_no_failure_of_who_sent_it() -> None:
    async with neighbour() as address, client_of(address) as client:
        with pytest.raises(StorageFull):
            await kept_on_a_full_disk(client)

        outcomes = {
            sample.labels["outcome"]: sample.value
            for metric in client._metrics.upstream_calls.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }
    assert outcomes == {"ok": 1}
