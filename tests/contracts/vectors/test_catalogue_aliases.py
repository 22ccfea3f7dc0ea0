"""Aliases in the catalogue, here and on a node: one name for one thing, and nothing points to what is not there."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.domain import Alias, AliasRefused, Collection, CollectionStatus
from services.vectors.ports import Catalogue
from shared.schemas import new_id
from tests.contracts.vectors.conftest import a_collection


async def ready(catalogue: Catalogue, name: str = "blue", like: Collection | None = None) -> Collection:
    made = replace(like or a_collection(), id=new_id(), name=name, status=CollectionStatus.READY)
    assert await catalogue.insert(made)
    return made


async def pointed(
    catalogue: Catalogue, collection: Collection, name: str = "current", *, was: str | None = None, most: int = 0
) -> Alias | AliasRefused:
    at = datetime.now(UTC)
    return await catalogue.point_alias(name, collection, version=new_id(), at=at, was=was, most=most)


async def made(catalogue: Catalogue, collection: Collection, name: str = "current") -> Alias:
    alias = await pointed(catalogue, collection, name)
    assert isinstance(alias, Alias)
    return alias


async def test_a_name_leads_to_the_collection_or_to_what_its_alias_points_to(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    green = await ready(catalogue, "green", blue)
    first = await made(catalogue, blue)
    assert (first.name, first.collection, first.created_at) == ("current", "blue", first.updated_at)
    assert await catalogue.resolve(blue.tenant_id, "current") == await catalogue.resolve(blue.tenant_id, "blue") == blue

    second = await made(catalogue, green)

    assert (second.collection, second.created_at) == ("green", first.created_at)
    assert second.version != first.version
    assert await catalogue.resolve(blue.tenant_id, "current") == green
    assert await catalogue.find_alias(blue.tenant_id, "current") == second
    listed = await catalogue.list_page(blue.tenant_id, after=None, limit=10)
    assert [one.name for one in listed] == ["blue", "green"], "an alias is no collection"
    assert await catalogue.find_alias(new_id(), "current") is None, "of another tenant"


async def test_what_points_there_already_stays_as_it_is(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)

    assert await made(catalogue, blue) == await made(catalogue, blue)


async def test_collections_and_aliases_share_their_names(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    await made(catalogue, blue)

    assert await pointed(catalogue, blue, "blue") is AliasRefused.NAME_TAKEN
    assert not await catalogue.insert(replace(blue, id=new_id(), name="current"))
    assert await catalogue.list_page(blue.tenant_id, after=None, limit=10) == [blue]
    await ready(catalogue, "current")  # of another tenant


async def test_of_a_collection_and_an_alias_at_once_one_gets_the_name(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)

    for at in range(10):
        rival = replace(blue, id=new_id(), name=f"name-{at}")
        is_listed, alias = await asyncio.gather(catalogue.insert(rival), pointed(catalogue, blue, rival.name))
        assert is_listed is (alias is AliasRefused.NAME_TAKEN)


@pytest.mark.parametrize("status", [CollectionStatus.CREATING, CollectionStatus.DELETING, None])
async def test_what_is_not_ready_is_not_pointed_to(catalogue: Catalogue, status: CollectionStatus | None) -> None:
    blue = await ready(catalogue)
    if status:
        await catalogue.set_status(blue, status)
    else:
        await catalogue.remove(blue)

    assert await pointed(catalogue, blue) is AliasRefused.TARGET_GONE
    assert await catalogue.find_alias(blue.tenant_id, "current") is None


async def test_what_an_alias_points_to_is_not_retired(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    alias = await made(catalogue, blue)
    assert await catalogue.retire(blue) == "current"
    assert await catalogue.find(blue.tenant_id, "blue") == blue

    assert await catalogue.remove_alias(blue.tenant_id, "current", was=alias.version)

    assert await catalogue.retire(blue) is None
    found = await catalogue.find(blue.tenant_id, "blue")
    assert found == replace(blue, status=CollectionStatus.DELETING)


async def test_of_several_who_switch_what_they_read_one_does(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    others = [await ready(catalogue, f"green-{at}", blue) for at in range(6)]
    read = await made(catalogue, blue)

    outcomes = await asyncio.gather(*(pointed(catalogue, other, was=read.version) for other in others))

    assert outcomes.count(AliasRefused.CHANGED) == 5
    [switched] = [one for one in outcomes if isinstance(one, Alias)]
    assert await catalogue.find_alias(blue.tenant_id, "current") == switched
    assert await pointed(catalogue, blue, "none", was=read.version) is AliasRefused.CHANGED
    assert not await catalogue.remove_alias(blue.tenant_id, "current", was=read.version)


async def test_what_is_repeated_as_its_answer_was_lost_is_answered_again(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    green = await ready(catalogue, "green", blue)
    read, version, at = await made(catalogue, blue), new_id(), datetime.now(UTC)

    answers = [
        await catalogue.point_alias("current", green, version=version, at=at, was=read.version, most=1)
        for _ in range(2)
    ]

    assert answers[0] == answers[1] == replace(read, collection="green", version=version, updated_at=at)


async def test_pages_follow_the_names_of_one_tenant_and_their_number_is_bounded(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    for name in ("delta", "alpha", "charlie"):
        await made(catalogue, blue, name)
    await made(catalogue, await ready(catalogue), "bravo")  # of another tenant

    page = await catalogue.list_aliases(blue.tenant_id, after=None, limit=2)
    rest = await catalogue.list_aliases(blue.tenant_id, after=page[-1].name, limit=10)

    assert [one.name for one in page + rest] == ["alpha", "charlie", "delta"]
    assert await pointed(catalogue, blue, "echo", most=3) is AliasRefused.TOO_MANY
    assert isinstance(await pointed(catalogue, blue, "alpha", most=3), Alias)


async def test_a_catalogue_of_an_earlier_version_takes_aliases_and_one_that_deleted_their_collections_heals(
    tmp_path: Path,
) -> None:
    path = tmp_path / "catalogue.db"
    catalogue = SqliteCatalogue(path)
    blue = await ready(catalogue)
    await catalogue.aclose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE alias")
    catalogue = SqliteCatalogue(path)
    await made(catalogue, blue)
    await catalogue.aclose()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM collection")

    catalogue = SqliteCatalogue(path)

    assert await catalogue.find_alias(blue.tenant_id, "current") is None
    await ready(catalogue, "current", blue)
    await catalogue.aclose()
