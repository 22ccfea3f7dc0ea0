"""Where collections are listed: the SQLite file of one replica, and the Qdrant collection of many."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.vectors.adapters.catalogue_qdrant import QdrantCatalogue
from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.domain import Collection, CollectionStatus
from services.vectors.ports import Catalogue
from shared.schemas import new_id
from tests.contracts.vectors.conftest import a_collection


@pytest.fixture(params=["sqlite", "qdrant"])
async def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Catalogue]:
    if request.param == "sqlite":
        opened: Catalogue = SqliteCatalogue(tmp_path / "catalogue.db")
        yield opened
        await opened.aclose()
        return
    connection = QdrantConnection(None)
    yield QdrantCatalogue(connection)
    await connection.aclose()


def named(name: str, like: Collection) -> Collection:
    return replace(like, name=name, id=new_id())


async def test_a_name_is_taken_once_however_many_ask_at_the_same_time(catalogue: Catalogue) -> None:
    first = a_collection()
    rivals = [named("things", first) for _ in range(10)]

    outcomes = await asyncio.gather(*(catalogue.insert(rival) for rival in rivals))

    assert outcomes.count(True) == 1
    winner = rivals[outcomes.index(True)]
    assert await catalogue.find(first.tenant_id, "things") == winner


async def test_tenants_share_no_names(catalogue: Catalogue) -> None:
    ours, theirs = a_collection(), a_collection()
    assert await catalogue.insert(ours)
    assert await catalogue.insert(theirs)

    assert await catalogue.find(ours.tenant_id, "things") == ours
    assert await catalogue.list_page(theirs.tenant_id, after=None, limit=10) == [theirs]
    assert await catalogue.find(new_id(), "things") is None


async def test_pages_follow_the_names(catalogue: Catalogue) -> None:
    first = a_collection()
    for name in ("delta", "alpha", "charlie", "bravo"):
        await catalogue.insert(named(name, first))

    page = await catalogue.list_page(first.tenant_id, after=None, limit=2)
    rest = await catalogue.list_page(first.tenant_id, after=page[-1].name, limit=10)

    assert [one.name for one in page + rest] == ["alpha", "bravo", "charlie", "delta"]
    assert await catalogue.count(first.tenant_id) == 4


async def test_the_status_changes_and_the_name_becomes_free(catalogue: Catalogue) -> None:
    collection = a_collection()
    await catalogue.insert(collection)

    await catalogue.set_status(collection, CollectionStatus.READY)
    found = await catalogue.find(collection.tenant_id, collection.name)
    assert found == replace(collection, status=CollectionStatus.READY)

    await catalogue.remove(collection)
    assert await catalogue.find(collection.tenant_id, collection.name) is None
    assert await catalogue.insert(named(collection.name, collection))


async def test_a_collection_that_was_replaced_is_not_touched(catalogue: Catalogue) -> None:
    """A deletion that comes late must not free the name that somebody else has taken since."""
    old = a_collection()
    await catalogue.insert(old)
    await catalogue.remove(old)
    new = named(old.name, old)
    await catalogue.insert(new)

    await catalogue.set_status(old, CollectionStatus.DELETING)
    await catalogue.remove(old)

    assert await catalogue.find(new.tenant_id, new.name) == new
