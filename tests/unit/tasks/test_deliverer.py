"""How often a webhook is asked by looks that follow each other closely, as they do while places are short."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

import pytest

from services.tasks.webhooks.deliverer import Deliverer
from services.tasks.webhooks.delivering import Delivering
from services.tasks.webhooks.domain import Waits
from services.tasks.webhooks.terms import Terms
from shared.postgres import Database

LOOKS = 3
TERMS = Terms(
    seconds=1,
    waits=Waits(()),
    failing_days=1,
    most_waiting=10,
    most_waiting_of_a_tenant=10,
    places=8,
    of_a_webhook=4,
)


class Row(NamedTuple):
    webhook_id: str
    tenant_id: str
    user_id: str
    is_failing: bool
    due: int


class Waiting:
    """A database in which deliveries to one webhook that fails, and to one that does not, are due all the time."""

    @asynccontextmanager
    async def statements(self) -> AsyncIterator["Waiting"]:
        yield self

    async def execute(self, *_: Any) -> list[Row]:
        return [Row("failing", "tenant", "user", True, 10), Row("well", "tenant", "other", False, 1)]


class Asked:
    """Who was asked how often; none answers well."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()

    async def deliver_next(self, webhook_id: str) -> bool:
        self.times[webhook_id] += 1
        return False


@pytest.mark.parametrize(("every_seconds", "times"), [(3600.0, 1), (0.0, LOOKS)], ids=["at once", "in time"])
async def test_a_failing_webhook_is_asked_once_however_many_looks_there_are_meanwhile(
    every_seconds: float, times: int
) -> None:
    asked = Asked()
    deliverer = Deliverer(cast("Database", Waiting()), cast("Delivering", asked), TERMS, every_seconds)

    for _ in range(LOOKS):
        await deliverer.look()
        await asyncio.gather(*(one for one in asyncio.all_tasks() if one.get_name().startswith("webhook:")))

    assert asked.times == {"failing": times, "well": LOOKS}
