"""Where collections are listed: the service's own file, whatever has become of the engines and of earlier lists."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from services.vectors.adapters.catalogue_former import AdoptingCatalogue
from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.qdrant_connection import QdrantConnection
from services.vectors.domain import Collection, CollectionStatus, EngineName
from services.vectors.ports import Catalogue
from shared.errors import Unavailable
from shared.schemas import new_id
from tests.contracts.vectors.conftest import FORMER, a_collection


def named(name: str, like: Collection) -> Collection:
    return replace(like, name=name, id=new_id())


async def test_a_name_is_taken_once_however_many_ask_at_the_same_time(catalogue: Catalogue) -> None:
    first = a_collection()
    rivals = [named("things", first) for _ in range(10)]

    outcomes = await asyncio.gather(*(catalogue.insert(rival) for rival in rivals))

    assert outcomes.count(True) == 1
    winner = rivals[outcomes.index(True)]
    assert await catalogue.find(first.tenant_id, "things") == winner


async def test_of_many_at_once_no_more_are_listed_than_a_tenant_may_have(catalogue: Catalogue) -> None:
    first, other = a_collection(), a_collection()
    await catalogue.insert(other)

    outcomes = await asyncio.gather(*(catalogue.insert(named(f"c{at}", first), 3) for at in range(10)))

    assert outcomes.count(True) == await catalogue.count(first.tenant_id) == 3
    assert await catalogue.insert(named("more", first))
    assert not await catalogue.insert(named("yet-more", first), 4)


async def test_tenants_share_no_names(catalogue: Catalogue) -> None:
    ours, theirs = a_collection(), a_collection()
    assert await catalogue.insert(ours)
    assert await catalogue.insert(theirs)

    assert await catalogue.find(ours.tenant_id, "things") == ours
    assert await catalogue.list_page(theirs.tenant_id, after=None, limit=10) == [theirs]
    assert await catalogue.list_page(new_id(), after=None, limit=10) == []


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

    assert await catalogue.set_status(collection, CollectionStatus.READY)
    found = await catalogue.find(collection.tenant_id, collection.name)
    assert found == replace(collection, status=CollectionStatus.READY)

    await catalogue.remove(collection)
    assert await catalogue.count(collection.tenant_id) == 0
    assert await catalogue.insert(named(collection.name, collection))


async def test_a_model_is_claimed_once_however_many_ask_at_the_same_time(catalogue: Catalogue) -> None:
    collection = a_collection()
    await catalogue.insert(collection)

    told = await asyncio.gather(*(catalogue.claim_model(collection, f"model {at}") for at in range(10)))

    assert len(set(told)) == 1
    assert await catalogue.find(collection.tenant_id, collection.name) == replace(collection, model=told[0])
    assert await catalogue.claim_model(a_collection(), "model") is None, "there is no such collection"


async def test_a_catalogue_of_an_earlier_version_is_read_with_models_unknown(tmp_path: Path) -> None:
    path, collection = tmp_path / "catalogue.db", a_collection()
    catalogue = SqliteCatalogue(path)
    await catalogue.insert(replace(collection, model="forgotten"))
    await catalogue.aclose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE collection DROP COLUMN model")

    for kept in (None, "model"):  # and read again with what was written since
        catalogue = SqliteCatalogue(path)
        assert await catalogue.find(collection.tenant_id, collection.name) == replace(collection, model=kept)
        assert await catalogue.claim_model(collection, "model") == "model"
        await catalogue.aclose()


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


async def test_what_an_engine_should_hold_is_listed_by_id(catalogue: Catalogue) -> None:
    made = [replace(a_collection(engine=EngineName.CHROMA), status=CollectionStatus.READY) for _ in range(3)]
    others = [a_collection(engine=EngineName.CHROMA), replace(made[0], id=new_id(), name="x", engine=EngineName.FAISS)]
    for collection in (*made, *others):
        await catalogue.insert(collection)

    first = await catalogue.list_ready(EngineName.CHROMA, after=None, limit=2)
    rest = await catalogue.list_ready(EngineName.CHROMA, after=first[-1].id, limit=2)

    assert first + rest == sorted(made, key=lambda collection: collection.id)


async def keep_in_qdrant(qdrant: QdrantConnection, *collections: Collection) -> None:
    """As versions before this one did."""
    await qdrant.run(lambda client, _: client.create_collection(FORMER, vectors_config={}))
    payloads = [
        {
            "id": one.id, "tenant_id": one.tenant_id, "name": one.name, "engine": one.engine.value,
            "dimension": one.dimension, "metric": one.metric.value, "created_at": one.created_at.isoformat(),
            "status": one.status.value,
        }
        for one in collections
    ]  # fmt: skip
    await qdrant.run(
        lambda client, models: client.upsert(
            FORMER, [models.PointStruct(id=new_id(), vector={}, payload=payload) for payload in payloads]
        )
    )


async def test_what_an_earlier_version_listed_on_qdrant_is_taken_over_once(
    tmp_path: Path, qdrant: QdrantConnection, no_qdrant: QdrantConnection
) -> None:
    former = [replace(a_collection(engine=engine), status=CollectionStatus.READY) for engine in EngineName]
    await keep_in_qdrant(qdrant, *former)
    catalogue = AdoptingCatalogue(tmp_path / "catalogue.db", qdrant, FORMER)
    await catalogue.adopt()
    for one in former:
        assert await catalogue.find(one.tenant_id, one.name) == one
    await catalogue.remove(former[0])
    await catalogue.aclose()

    for connection in (qdrant, no_qdrant):
        catalogue = AdoptingCatalogue(tmp_path / "catalogue.db", connection, FORMER)
        await catalogue.adopt()
        assert await catalogue.find(former[0].tenant_id, former[0].name) is None, "it was deleted since"
        assert await catalogue.find(former[1].tenant_id, former[1].name) == former[1]
        await catalogue.aclose()


async def test_nothing_is_lost_sight_of_where_names_meet(tmp_path: Path, qdrant: QdrantConnection) -> None:
    former = replace(a_collection(), name="n" * 63)
    now = named(former.name, former)
    await keep_in_qdrant(qdrant, former)
    catalogue = AdoptingCatalogue(tmp_path / "catalogue.db", qdrant, FORMER)
    await catalogue.insert(now)

    await catalogue.adopt()

    listed = await catalogue.list_page(former.tenant_id, after=None, limit=10)
    assert [(one.id, one.name) for one in listed] == [(former.id, "n" * 61 + "-2"), (now.id, now.name)]
    await catalogue.aclose()


async def test_until_qdrant_was_heard_an_unknown_name_is_not_said_to_be_none(
    tmp_path: Path, no_qdrant: QdrantConnection
) -> None:
    known = a_collection()
    catalogue = AdoptingCatalogue(tmp_path / "catalogue.db", no_qdrant)
    await catalogue.insert(known)
    with pytest.raises(Unavailable):
        await catalogue.adopt()

    assert await catalogue.find(known.tenant_id, known.name) == known
    with pytest.raises(Unavailable, match="qdrant"):
        await catalogue.find(known.tenant_id, "unknown")
    await catalogue.aclose()


async def test_of_several_who_change_a_status_one_has_changed_it(catalogue: Catalogue) -> None:
    collection = a_collection()
    await catalogue.insert(collection)

    changed = await asyncio.gather(
        *(catalogue.set_status(collection, CollectionStatus.READY, was=CollectionStatus.CREATING) for _ in range(6))
    )

    assert changed.count(True) == 1
    assert not await catalogue.set_status(a_collection(), CollectionStatus.READY)
