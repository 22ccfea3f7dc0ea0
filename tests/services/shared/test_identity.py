"""What services ask of auth, they ask once, however many callers need it at that moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from shared.calls import ServiceClient, open_http_client
from shared.discovery import StaticDiscovery
from shared.errors import Unavailable
from shared.identity import RemoteKeys
from shared.telemetry import Metrics
from tests.fixtures.ports import free_port


def calls(metrics: Metrics, outcome: str) -> float:
    labels = {"service": "auth", "outcome": outcome}
    return metrics.registry.get_sample_value("http_client_requests_total", labels) or 0


@asynccontextmanager
async def keys_of(address: str, metrics: Metrics) -> AsyncIterator[RemoteKeys]:
    async with open_http_client(5) as http:
        yield RemoteKeys(ServiceClient(StaticDiscovery({"auth": address}), http, metrics))


async def test_a_crowd_at_the_start_fetches_the_keys_once(auth: httpx.AsyncClient) -> None:
    key_id = (await auth.get("/api/v1/auth/jwks.json")).json()["keys"][0]["kid"]
    metrics = Metrics()
    async with keys_of(str(auth.base_url), metrics) as keys:
        found = await asyncio.gather(*(keys.find_key(key_id) for _ in range(200)))

    assert {key.key_id for key in found if key} == {key_id}
    assert calls(metrics, "ok") == 1


async def test_a_crowd_does_not_queue_for_an_auth_that_is_away() -> None:
    metrics = Metrics()
    async with keys_of(f"http://127.0.0.1:{free_port()}", metrics) as keys:
        outcomes = await asyncio.gather(*(keys.find_key("any") for _ in range(200)), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert calls(metrics, Unavailable.code) <= 2
