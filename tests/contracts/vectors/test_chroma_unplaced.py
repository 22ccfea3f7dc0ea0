"""ChromaDB's collections of before records had places are listed and counted some ids at a time, however many."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from local.suite import Suite
from services.vectors.adapters.chroma import ChromaEngine
from services.vectors.adapters.chroma_api import ChromaApi, LongAnswer
from services.vectors.adapters.chroma_metadata import place_of, where_of
from services.vectors.adapters.chroma_paging import count_of, ids_after
from services.vectors.domain import Collection, EngineName
from services.vectors.records.filters import parse
from tests.contracts.vectors.conftest import COSINE, a_collection
from tests.contracts.vectors.language import leaf

_RECORDS = 60
_EVEN = where_of(parse(leaf("even", "eq", True)))


class DeletingApi(ChromaApi):
    """Deletes records between two parts of a list, after each what is to go then; has no room for more than `most`."""

    doomed: list[list[str]]
    most = 1_000_000

    async def ids(self, collection_id: str, *args: Any, **options: Any) -> list[str]:
        found = await super().ids(collection_id, *args, **options)
        if len(found) > self.most:
            raise LongAnswer(len(found))
        if self.doomed and (ids := self.doomed.pop(0)):
            await self.delete(collection_id, ids=ids)
        return found


@dataclass
class Former:
    """A collection, by its own id at ChromaDB."""

    api: DeletingApi
    chroma_id: str

    async def listed(self, after: str | None, limit: int, at_once: int, where: Any = None) -> list[list[str]]:
        parts = ids_after(self.api, self.chroma_id, after, limit, where, is_placed=False, at_once=at_once)
        return [ids async for ids in parts]


@pytest.fixture
async def former(suite: Suite) -> AsyncIterator[Former]:
    suite.up(["chromadb"])
    place = suite.url("chromadb"), 30, suite.environment("vectors").get("CHROMADB_TENANT")
    engine, api, collection = ChromaEngine(*place), DeletingApi(*place), a_collection(engine=EngineName.CHROMA)
    api.doomed = []
    await engine.create_collection(collection)
    await engine.upsert(collection, [COSINE.record(f"{at}", 1, at, 0, 0, even=at % 2 == 0) for at in range(_RECORDS)])
    yield Former(api, await chroma_id_of(api, collection))
    await engine.drop_collection(collection)
    await engine.aclose()
    await api.aclose()


async def chroma_id_of(api: ChromaApi, collection: Collection) -> str:
    return (await api.collection(f"sutazai-{collection.id}"))[0]


def together(parts: list[list[str]]) -> list[str]:
    return list(itertools.chain.from_iterable(parts))


def in_order(numbers: range) -> list[str]:
    return sorted(map(str, numbers), key=lambda one: (place_of(one), one))


@pytest.mark.parametrize("at_once", [2, 7, 59, 60, 61])
async def test_all_are_listed_in_their_order(former: Former, at_once: int) -> None:
    expected = in_order(range(_RECORDS))

    parts = await former.listed(None, 10, at_once)
    assert [one for ids in parts for one in ids] == expected
    assert {len(ids) for ids in parts[:-1]} == {20}
    assert together(await former.listed(expected[24], 10, at_once)) == expected[25:]
    assert together(await former.listed(None, 10, at_once, _EVEN)) == in_order(range(0, _RECORDS, 2))


@pytest.mark.parametrize("at_once", [2, 7, 30, 31])
async def test_what_meets_a_filter_is_counted(former: Former, at_once: int) -> None:
    assert await count_of(former.api, former.chroma_id, _EVEN, is_placed=False, at_once=at_once) == 30


@pytest.mark.parametrize("doomed", [1, 6, 12, 25], ids=lambda number: f"{number} go")
async def test_what_stays_is_listed_whatever_goes_meanwhile(former: Former, doomed: int) -> None:
    """What is gone from before the place that was reached shifts all that follow."""
    former.api.doomed = [[], [], [], [str(at) for at in range(doomed)]]

    listed = together(await former.listed(None, _RECORDS, at_once=8))

    assert [one for one in listed if int(one) >= doomed] == in_order(range(doomed, _RECORDS))
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("doomed", [6, 40], ids=lambda number: f"{number} go")
async def test_nothing_that_stays_is_counted_twice_or_not(former: Former, doomed: int) -> None:
    former.api.doomed = [[], [], [], [str(at) for at in range(doomed)]]

    found = await count_of(former.api, former.chroma_id, _EVEN, is_placed=False, at_once=5)

    assert (_RECORDS - doomed) // 2 <= found <= _RECORDS // 2


async def test_what_is_too_long_for_an_answer_is_asked_for_in_smaller_parts(former: Former) -> None:
    former.api.most = 9

    assert together(await former.listed(None, 100, at_once=1000)) == in_order(range(_RECORDS))
