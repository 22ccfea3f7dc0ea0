"""What a service tells auth: off the path of a request, through a broker that is away, counted where it is lost."""

import asyncio
import secrets
import statistics
import time

from prometheus_client import CollectorRegistry

from shared.identity import telling
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.shared.hearing import ADA, Heard

NOWHERE = "amqp://guest:guest@127.0.0.1:1/"


def untold(registry: CollectorRegistry) -> float:
    return registry.get_sample_value("deeds_untold_total") or 0.0


async def test_a_deed_is_told_with_both_names_and_the_key(heard: Heard) -> None:
    mark = secrets.token_hex(4)
    async with telling(heard.url, "test", CollectorRegistry()) as teller:
        teller.tell(ADA, "agent.deleted", mark, once=mark, count=2)
        await heard.until(mark)

    body = next(one for one in heard.bodies if one["target"] == mark)
    assert body.items() >= {"actor": "ada", "act": "service:tasks", "key_id": "key", "tenant_id": "tenant"}.items()
    assert (body["action"], body["details"]) == ("agent.deleted", {"count": 2})
    assert f"agent.deleted:{mark}" in heard.ids


async def test_a_service_that_stops_tells_the_last_of_it_first(heard: Heard) -> None:
    marks = [secrets.token_hex(4) for _ in range(200)]

    async with telling(heard.url, "test", CollectorRegistry()) as teller:
        for mark in marks:
            teller.tell(ADA, "agent.deleted", mark)
    await heard.until(marks[-1])

    assert [target for target in heard.targets() if target in marks] == marks


async def test_nobody_waits_for_a_broker_that_is_away_and_what_is_lost_is_counted() -> None:
    registry = CollectorRegistry()
    seconds = []
    async with asyncio.timeout(PATIENCE_SECONDS), telling(NOWHERE, "test", registry) as teller:
        for number in range(10_007):
            started = time.perf_counter()
            teller.tell(ADA, "agent.deleted", str(number))
            seconds.append(time.perf_counter() - started)
        beyond = untold(registry)

    assert statistics.median(seconds) < 0.0005  # the machine may stand still during any of them
    assert (beyond, untold(registry)) == (7, 10_007)
