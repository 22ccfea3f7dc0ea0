"""Requests by an alias that is switched to another space while they are served, whose former collection is deleted."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.aliases.service import AliasService
from services.vectors.collections.schemas import CollectionCreate
from services.vectors.collections.service import CollectionService
from services.vectors.copies.noting import Journal
from services.vectors.domain import Collection, Embedded, EngineName, Match, Metric, Record, Vector
from services.vectors.errors import CollectionChanged, DimensionMismatch
from services.vectors.records.schemas import StoreRequest
from services.vectors.records.service import RecordService
from services.vectors.searching.schemas import SearchBatch, SearchRequest
from services.vectors.searching.service import SearchService
from services.vectors.stores.expiring import Activity
from services.vectors.stores.fencing import Fence
from services.vectors.usage.domain import Quotas
from services.vectors.usage.service import UsageService
from shared.identity import Caller
from shared.resources import CursorCodec
from shared.schemas import new_id
from tests.services.vectors.test_races import NobodyListens, a_caller

Happens = Callable[[], Awaitable[None]]


class SlowEngine(FaissEngine):
    """FAISS, where something happens before a call arrives."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, threads=1, max_bytes=2**20)
        self.before: list[Happens] = []

    async def _happen(self) -> None:
        if self.before:
            await self.before.pop(0)()

    async def search(self, collection: Collection, *arguments: Any, **options: Any) -> list[Match]:
        await self._happen()
        return await super().search(collection, *arguments, **options)

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        await self._happen()
        await super().upsert(collection, records)

    async def merge_metadata(self, collection: Collection, *arguments: Any) -> Record | None:
        await self._happen()
        return await super().merge_metadata(collection, *arguments)

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        await self._happen()
        return await super().find(collection, record_id)


class Compass:
    """A model for which every text is east, and three long."""

    model, dimension, window_tokens = "compass", 2, 512

    async def make_ready(self) -> None:
        """It is."""

    def tokens_of(self, text: str, *, is_query: bool) -> int:
        del text, is_query
        return 1

    async def embed_query(self, text: str, caller: Caller) -> Vector:
        return (await self.embed([text], caller, is_query=True))[0].vector

    async def embed_queries(self, texts: Sequence[str], caller: Caller) -> list[Vector]:
        return [one.vector for one in await self.embed(texts, caller, is_query=True)]

    async def embed_passages(self, texts: Sequence[str], caller: Caller) -> list[Vector]:
        return [one.vector for one in await self.embed(texts, caller, is_query=False)]

    async def embed(self, texts: Sequence[str], caller: Caller, *, is_query: bool) -> list[Embedded]:
        del caller, is_query
        return [Embedded(np.array([3, 0], dtype=np.float32), 1) for _ in texts]

    async def aclose(self) -> None:
        """Nothing to release."""


class World:
    """A tenant's services, and an alias `now`."""

    def __init__(self, root: Path) -> None:
        self.engine, self.catalogue = SlowEngine(root / "faiss"), SqliteCatalogue(root / "catalogue.db")
        engines, nobody, cursors = {EngineName.FAISS: self.engine}, NobodyListens(), CursorCodec("x" * 32)
        self.collections = CollectionService(self.catalogue, engines, cursors, 2, nobody)
        self.aliases = AliasService(self.catalogue, self.collections, cursors, nobody)
        self.activity = Activity(self.catalogue)
        self.searches = SearchService(self.collections, Compass(), self.activity)
        usage = UsageService(self.catalogue, engines, Quotas())
        self.records = RecordService(
            self.collections, Compass(), nobody, usage, Journal(self.catalogue), Fence(self.catalogue)
        )
        self.caller = a_caller(new_id(), "vectors:read", "vectors:write")

    async def switch(self, name: str, was: str | None, dimension: int, metric: Metric) -> None:
        """To a new collection, of one record to the north east; the former one goes."""
        body = CollectionCreate(name=name, engine=EngineName.FAISS, dimension=dimension, metric=metric)
        await self.collections.create(self.caller, body)
        item = {"id": f"of {name}", "vector": [2.0] * dimension}
        await self.records.store(self.caller, StoreRequest.model_validate({"collection": name, "items": [item]}))
        await self.aliases.point(self.caller, "now", name)
        if was:
            await self.collections.delete(self.caller, was)

    def meanwhile(self, name: str, was: str, dimension: int, metric: Metric) -> None:
        self.engine.before.append(lambda: self.switch(name, was, dimension, metric))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    opened = World(tmp_path)
    await opened.switch("blue", None, 2, Metric.COSINE)
    yield opened
    await opened.engine.aclose()
    await opened.catalogue.aclose()


def asked(**query: object) -> SearchRequest:
    return SearchRequest.model_validate({"collection": "now", **query})


@pytest.mark.parametrize("query", [{"query": "east"}, {"vector": [3, 0]}], ids=["text", "vector"])
async def test_a_search_is_made_anew_for_another_metric(world: World, query: dict[str, object]) -> None:
    world.meanwhile("green", "blue", 2, Metric.DOT)

    found = await world.searches.search(world.caller, asked(**query))

    assert (found.collection.name, [(hit.match.id, hit.match.score) for hit in found.hits]) == (
        "green", [("of green", 6.0)],
    )  # fmt: skip


@pytest.mark.parametrize("query", [{"query": "east"}, {"vector": [3, 0]}], ids=["text", "vector"])
async def test_another_dimension_is_said_to_be_one(world: World, query: dict[str, object]) -> None:
    """It was said that there is no such collection, which is not so."""
    world.meanwhile("green", "blue", 3, Metric.COSINE)

    with pytest.raises(DimensionMismatch, match="'green' has 3"):
        await world.searches.search(world.caller, asked(**query))


async def test_so_are_the_searches_of_a_batch(world: World) -> None:
    world.meanwhile("green", "blue", 2, Metric.DOT)

    found = await world.searches.search_batch(
        world.caller, SearchBatch(searches=[asked(query="east"), asked(query="x")])
    )

    assert [[hit.match.score for hit in one.hits] for one in found.found] == [[6.0], [6.0]]


async def test_what_is_stored_meanwhile_is_stored_as_the_new_one_keeps_it(world: World) -> None:
    items = [{"id": "text", "text": "east"}, {"id": "vector", "vector": [0, 5]}]
    body = StoreRequest.model_validate({"collection": "now", "items": items})
    world.engine.before += [_nothing]  # the store of what `green` begins with
    world.engine.before.insert(0, lambda: world.switch("green", "blue", 2, Metric.DOT))

    stored = await world.records.store(world.caller, body)

    assert (stored.collection.name, stored.stored) == ("green", 2)
    kept = [await world.records.get(world.caller, "green", one) for one in ("text", "vector")]
    assert [record.vector.tolist() for record in kept] == [[3, 0], [0, 5]]


async def _nothing() -> None:
    return


async def test_where_no_vector_is_brought_another_space_is_as_good(world: World) -> None:
    world.meanwhile("green", "blue", 3, Metric.L2)

    record = await world.records.get(world.caller, "now", "of green")

    assert record.vector.tolist() == [2, 2, 2]


async def test_a_name_that_changes_again_and_again_is_to_be_asked_again(world: World) -> None:
    world.engine.before += [
        lambda: world.switch("green", "blue", 2, Metric.DOT),
        _nothing,
        lambda: world.switch("red", "green", 2, Metric.L2),
    ]

    with pytest.raises(CollectionChanged) as refused:
        await world.searches.search(world.caller, asked(query="east"))

    assert refused.value.status == 409
