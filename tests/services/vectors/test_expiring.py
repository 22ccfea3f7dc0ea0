"""Stores that nobody uses: refused when their days are over, had back by a change, and deleted a day later."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from services.vectors.collections.schemas import CollectionCreate
from services.vectors.domain import Collection, EngineName
from services.vectors.errors import CollectionNotFound
from services.vectors.searching.schemas import SearchRequest
from services.vectors.stores.domain import Expiry
from services.vectors.stores.errors import StoreExpired
from services.vectors.stores.expiring import Sweeper
from services.vectors.stores.schemas import StoreRead, StoreUpdate
from shared.errors import StorageFull, Unavailable
from tests.fixtures.disks import small_disk
from tests.services.vectors.test_fencing import STORE, Shop, opened_shop

WEEK = {"anchor": "last_active_at", "days": 7}


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened_shop(tmp_path) as opened:
        yield opened


async def used(shop: Shop, *, days_ago: float, name: str = STORE) -> None:
    """For the last time."""
    expiry = Expiry(7, datetime.now(UTC) - timedelta(days=days_ago), shop.caller.subject)
    collection = (await shop.collections.get(shop.caller, name)).collection
    assert await shop.catalogue.describe(collection, title=None, description=None, metadata=None, expiry=expiry)


async def read(shop: Shop) -> StoreRead:
    return StoreRead.of(await shop.stores.get(shop.caller, STORE))


async def search(shop: Shop) -> None:
    await shop.searches.search(shop.caller, SearchRequest.model_validate({"collection": STORE, "vector": [1, 0]}))


@pytest.mark.parametrize("use", ["search", "attach"])
async def test_who_uses_a_store_puts_its_end_off(shop: Shop, use: str) -> None:
    await used(shop, days_ago=6)

    await (search(shop) if use == "search" else shop.attached())

    after = await read(shop)
    assert after.last_active_at is not None
    assert after.last_active_at >= (datetime.now(UTC) - timedelta(minutes=1)).timestamp()


async def test_what_has_expired_serves_nobody_until_it_is_had_back(shop: Shop) -> None:
    await used(shop, days_ago=8)

    assert (await read(shop)).status == "expired"
    for use in (search(shop), shop.attached()):
        with pytest.raises(StoreExpired):
            await use

    await shop.stores.update(shop.caller, STORE, StoreUpdate.model_validate({"expires_after": WEEK}))
    await search(shop)
    assert (await read(shop)).status == "completed"


async def test_what_was_found_to_have_expired_a_day_ago_is_deleted(shop: Shop) -> None:
    await used(shop, days_ago=300)

    await Sweeper(shop.catalogue, shop.collections).sweep()
    await Sweeper(shop.catalogue, shop.collections).sweep()
    assert (await read(shop)).status == "expired", "it may have been switched off for long"

    await a_day_later(shop).sweep()
    with pytest.raises(CollectionNotFound):
        await read(shop)


async def test_what_is_had_back_is_not_deleted_for_what_was_seen_before(shop: Shop) -> None:
    await used(shop, days_ago=300)
    await Sweeper(shop.catalogue, shop.collections).sweep()

    await shop.stores.update(shop.caller, STORE, StoreUpdate.model_validate({"expires_after": WEEK}))
    await a_day_later(shop).sweep()

    assert (await read(shop)).status == "completed"


def a_day_later(shop: Shop) -> Sweeper:
    return Sweeper(shop.catalogue, shop.collections, timedelta(0))


async def test_what_an_alias_points_to_is_not_deleted(shop: Shop) -> None:
    await shop.aliases.point(shop.caller, "now", STORE)
    await used(shop, days_ago=30)

    await a_day_later(shop).sweep()

    assert (await read(shop)).status == "expired"


async def test_a_store_that_cannot_be_deleted_now_holds_up_no_other(shop: Shop) -> None:
    """Its engine may be away for days; then it has its turn again."""
    await shop.collections.create(shop.caller, CollectionCreate(name="other", engine=EngineName.FAISS, dimension=2))
    sweeper, drop = a_day_later(shop), shop.engine.drop_collection
    is_away = True

    async def drops(collection: Collection) -> None:
        if is_away and collection.name == STORE:
            raise Unavailable("faiss")
        await drop(collection)

    with (
        mock.patch.object(shop.engine, "drop_collection", drops),
        mock.patch("services.vectors.stores.expiring._AT_ONCE", 1),
    ):
        await used(shop, days_ago=30)
        await sweeper.sweep()
        await used(shop, days_ago=20, name="other")
        await sweeper.sweep()
        with pytest.raises(CollectionNotFound):
            await shop.collections.get(shop.caller, "other")

        is_away = False
        await sweeper.sweep()
        await sweeper.sweep()
    with pytest.raises(CollectionNotFound):
        await shop.collections.get(shop.caller, STORE)


async def test_what_does_not_expire_stays(shop: Shop) -> None:
    await Sweeper(shop.catalogue, shop.collections, timedelta(days=-1000)).sweep()

    assert (await read(shop)).expires_at is None


async def test_a_full_disk_holds_up_no_reader(tmp_path: Path) -> None:
    """Though a use is written down."""
    with small_disk(tmp_path / "disk", 24) as disk:
        async with opened_shop(tmp_path / "disk") as shop:
            await used(shop, days_ago=6)
            await shop.count()  # it is in memory

            disk.fill()
            with pytest.raises(StorageFull):
                await shop.catalogue.touch(await shop.collection(), datetime.now(UTC))
            await search(shop)
            assert (await read(shop)).status == "completed"

            disk.free()
            await search(shop)
            after = (await shop.stores.get(shop.caller, STORE)).expiry
            assert after is not None
            assert datetime.now(UTC) - after.active_at < timedelta(minutes=1), "it is written down when there is room"


async def test_what_has_expired_serves_nobody_on_a_full_disk_either(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        async with opened_shop(tmp_path / "disk") as shop:
            await used(shop, days_ago=8)
            await shop.count()

            disk.fill()
            with pytest.raises(StoreExpired):
                await search(shop)
            disk.free()
