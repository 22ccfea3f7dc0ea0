"""Balancing over instances: in turn, past the failing, never over an empty list."""

import pytest

from shared.discovery import Balancer, StaticDiscovery
from shared.errors import Unavailable

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


def test_an_empty_answer_keeps_the_last_known_addresses() -> None:
    balancer = Balancer([A])

    balancer.replace([])

    assert balancer.choose() == A


async def test_a_service_nobody_knows_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="agents"):
        await StaticDiscovery({}).choose("agents")
