"""Words for collections of before: several get theirs at once, and one tenant's many keep nobody else waiting."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from services.vectors.adapters.words_late import LateWords
from services.vectors.domain import Collection
from shared.schemas import new_id
from tests.contracts.vectors.conftest import a_collection


@dataclass
class Giving:
    """Collections whose words are being made, none of which ends before it is let go."""

    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)

    async def give(self, collection: Collection) -> None:
        self.begun.append(collection.id)
        await self.gates.setdefault(collection.id, asyncio.Event()).wait()
        self.ended.append(collection.id)

    @property
    def under_way(self) -> set[str]:
        return set(self.begun) - set(self.ended)


@pytest.fixture
async def giving() -> AsyncIterator[tuple[Giving, LateWords]]:
    made = Giving()
    late = LateWords(made.give)
    yield made, late
    await late.aclose()


def of_one_tenant(number: int) -> list[Collection]:
    tenant_id = new_id()
    return [replace(a_collection(), tenant_id=tenant_id) for _ in range(number)]


async def all_that_can() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_tenant_with_many_keeps_nobody_waiting(giving: tuple[Giving, LateWords]) -> None:
    made, late = giving
    many, (other,) = of_one_tenant(30), of_one_tenant(1)
    for one in many:
        late.missing(one)
    await all_that_can()
    late.missing(other)
    await all_that_can()

    assert other.id in made.under_way
    assert len(made.under_way) == 3


async def test_each_gets_its_turn_and_only_so_many_at_once(giving: tuple[Giving, LateWords]) -> None:
    made, late = giving
    wanted = [one for _ in range(6) for one in of_one_tenant(5)]
    for one in wanted:
        late.missing(one)
    await all_that_can()
    assert len(made.under_way) == 8

    while made.under_way:
        made.gates[min(made.under_way)].set()
        await all_that_can()
        assert len(made.under_way) <= 8

    assert sorted(made.ended) == sorted(one.id for one in wanted)


async def test_the_same_is_made_once_at_a_time(giving: tuple[Giving, LateWords]) -> None:
    made, late = giving
    (one,) = of_one_tenant(1)

    for _ in range(5):
        late.missing(one)
        await all_that_can()

    assert made.begun == [one.id]
