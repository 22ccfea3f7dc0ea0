"""Balancing over instances, in turn and past the failing; and what is believed of what Consul says of them."""

import asyncio
import random
from collections.abc import Sequence

import httpx
import pytest

from shared.discovery import (
    Balancer,
    ConsulDiscovery,
    ConsulKeys,
    ConsulWatch,
    Instance,
    Kept,
    Registration,
    StaticDiscovery,
)
from shared.errors import Unavailable
from shared.loops import in_background
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.unit.shared.test_ending import deaf

A, B = "http://a:1", "http://b:1"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_instances_take_turns() -> None:
    balancer = Balancer([B, A])

    assert [balancer.choose() for _ in range(4)] == [A, B, A, B]


def test_a_failing_instance_is_passed_by_for_a_while() -> None:
    clock = Clock()
    balancer = Balancer([A, B], clock)

    balancer.eject(A)
    while_ejected = {balancer.choose() for _ in range(4)}
    clock.now += 6
    afterwards = {balancer.choose() for _ in range(4)}

    assert (while_ejected, afterwards) == ({B}, {A, B})


def test_the_only_instance_is_tried_even_when_it_failed() -> None:
    balancer = Balancer([A])

    balancer.eject(A)

    assert balancer.choose() == A


async def test_a_service_nobody_knows_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="agents"):
        await StaticDiscovery({}).choose("agents")


class Consul:
    """Answers as the test wants, at once even where it was asked to wait."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.index = 7
        self.asked: list[str | None] = []
        self.client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.params.get("index"))
        if request.url.path.startswith("/v1/kv/"):
            keys = [{"Key": "settings/one", "Value": "MQ==", "ModifyIndex": 1}]
            return httpx.Response(200, json=keys, headers={"X-Consul-Index": str(self.index)})
        entries = [
            {"Node": {"Address": "node"}, "Service": {"Address": host, "Port": int(port)}}
            for host, port in (address.split(":") for address in self.addresses)
        ]
        return httpx.Response(200, json=entries, headers={"X-Consul-Index": str(self.index)})

    def watch(self, balancer: Balancer, grace_seconds: float = 30.0) -> ConsulWatch:
        async def take(instances: list[Instance]) -> None:
            balancer.replace([f"http://{instance.address}:{instance.port}" for instance in instances])

        return ConsulWatch("http://consul:8500", self.client, "agents", take, grace_seconds=grace_seconds)

    def followed(self, what: str) -> ConsulWatch | ConsulKeys:
        return self.watch(Balancer()) if what == "service" else self.keys([])

    def keys(self, taken: list[Kept]) -> ConsulKeys:
        async def take(found: Sequence[Kept]) -> None:
            taken.extend(found)

        return ConsulKeys("http://consul:8500", self.client, "settings/", take)


async def test_an_empty_answer_keeps_the_last_known_addresses() -> None:
    consul, balancer = Consul("a:1"), Balancer()
    watch = consul.watch(balancer)
    await watch.follow_once()
    consul.addresses = []

    await watch.follow_once()

    assert balancer.choose() == A


async def test_nobody_is_believed_after_the_grace() -> None:
    consul, balancer = Consul("a:1"), Balancer()
    watch = consul.watch(balancer, grace_seconds=0)
    await watch.follow_once()
    consul.addresses = []

    await watch.follow_once()

    assert balancer.choose() is None


async def test_an_instance_without_an_address_is_at_its_node() -> None:
    balancer = Balancer()

    await Consul(":1").watch(balancer).follow_once()

    assert balancer.choose() == "http://node:1"


EITHER = pytest.mark.parametrize("what", ["service", "keys"])


@EITHER
async def test_an_index_that_went_backwards_is_forgotten(what: str) -> None:
    consul = Consul("a:1")
    watch = consul.followed(what)
    await watch.follow_once()
    consul.index = 3

    for _ in range(3):
        await watch.follow_once()

    assert consul.asked == [None, "7", None, "3"]


@EITHER
async def test_a_server_that_does_not_block_is_not_asked_in_a_loop(what: str) -> None:
    consul = Consul("a:1")
    watch = consul.followed(what)

    assert [await watch.follow_once() for _ in range(3)] == [True, False, False]
    assert consul.asked == [None, "7", "7"]


@EITHER
async def test_a_consul_that_is_away_is_told_of_once_and_asked_ever_more_rarely(
    what: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    consul, ceilings = Consul("a:1"), list[float]()
    watch = consul.followed(what)

    def uniform(_: float, ceiling: float) -> float:
        ceilings.append(ceiling)
        return 0.0

    monkeypatch.setattr(random, "uniform", uniform)
    monkeypatch.setattr(consul, "index", "nonsense")

    async with in_background(watch.run()), asyncio.timeout(PATIENCE_SECONDS):
        while len(ceilings) < 7:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        consul.index = 7
        while "7" not in consul.asked:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)

    assert ceilings[:7] == [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0]
    assert len(caplog.messages) == 1


async def test_keys_are_handed_on_with_each_answer_so_that_what_was_refused_is_tried_again() -> None:
    consul, taken = Consul(), list[Kept]()
    keys = consul.keys(taken)

    for _ in range(2):
        await keys.follow_once()

    assert taken == [Kept("one", b"1", 1)] * 2


async def test_a_refused_token_is_no_consul_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    refusing = httpx.MockTransport(lambda _: httpx.Response(403, text="ACL not found"))
    async with httpx.AsyncClient(transport=refusing) as client:
        watch = ConsulWatch("http://consul:8500", client, "agents", _nobody, token="a token")
        async with in_background(watch.run()), asyncio.timeout(PATIENCE_SECONDS):
            while not caplog.messages:  # noqa: ASYNC110 - a log has no event to wait on
                await asyncio.sleep(0.01)

    assert caplog.messages == ["Consul refuses the token in CONSUL_TOKEN (ACL not found)"]


async def test_the_token_goes_with_every_question() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=[], headers={"X-Consul-Index": "1"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        await ConsulWatch("http://consul:8500", client, "agents", _nobody, token="a token").follow_once()
        await ConsulWatch("http://consul:8500", client, "agents", _nobody).follow_once()

    assert [request.headers.get("x-consul-token") for request in asked] == ["a token", None]


async def _nobody(instances: list[Instance]) -> None:
    assert not instances


async def test_a_lost_cancel_keeps_nobody_from_leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("consul is away")

    async with httpx.AsyncClient(transport=httpx.MockTransport(nobody)) as client:
        left = Registration("http://consul", client, service="a", instance_id="a-1", host="a", port=1)
        monkeypatch.setattr(left, "_keep_registered", lambda: deaf(1))
        left.start()
        discovery = ConsulDiscovery("http://consul", client)
        monkeypatch.setattr(ConsulWatch, "run", lambda _: deaf(1))
        looking = asyncio.create_task(discovery.choose("b"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        async with asyncio.timeout(PATIENCE_SECONDS):
            await left.deregister()
            await discovery.aclose()
        looking.cancel()
