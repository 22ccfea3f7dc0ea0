"""What services ask of auth, they ask once, however many callers need it at that moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from shared import deadlines
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


async def test_who_asks_first_and_waits_for_nothing_has_the_keys_fetched_for_all(auth: httpx.AsyncClient) -> None:
    key_id = (await auth.get("/api/v1/auth/jwks.json")).json()["keys"][0]["kid"]
    async with keys_of(str(auth.base_url), Metrics()) as keys:
        with deadlines.limited(0):
            found = await keys.find_key(key_id)

    assert found
    assert found.key_id == key_id


async def test_who_leaves_while_the_keys_are_fetched_leaves_nobody_without() -> None:
    auth = Published("known")
    keys = RemoteKeys(auth)  # type: ignore[arg-type] # what it asks of a client
    await keys.learn(["known"])
    auth.publishes("new")
    first = asyncio.create_task(keys.find_key("new"))
    await auth.is_asked.wait()
    second = asyncio.create_task(keys.find_key("new"))
    first.cancel()
    await asyncio.wait([first])
    auth.answers.set()

    found = await second
    assert found
    assert (found.key_id, auth.times) == ("new", 2)


class Published:
    """The public keys of auth, and when it tells them."""

    def __init__(self, key_id: str) -> None:
        self.times, self.is_asked, self.answers = 0, asyncio.Event(), asyncio.Event()
        self.answers.set()
        self._keys = [_jwk(key_id)]

    def publishes(self, key_id: str) -> None:
        """One more, told from when it `answers`."""
        self._keys.append(_jwk(key_id))
        self.is_asked.clear()
        self.answers.clear()

    async def call(self, *_: object, **__: object) -> httpx.Response:
        self.times += 1
        self.is_asked.set()
        await self.answers.wait()
        return httpx.Response(200, json={"keys": self._keys})


def _jwk(key_id: str) -> dict[str, str]:
    made = OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key(), as_dict=True)
    return {**made, "kid": key_id, "alg": "EdDSA"}
