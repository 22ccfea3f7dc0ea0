"""A disk without a byte is told as what it is, also of a collection that has to be opened first."""

import asyncio
from pathlib import Path

import pytest

from services.vectors.adapters.chroma_patience import Patience, Wait
from services.vectors.adapters.faiss import FaissEngine
from shared.errors import StorageFull
from tests.contracts.vectors.conftest import COSINE, a_collection
from tests.fixtures.disks import small_disk


async def test_faiss_says_that_there_is_no_room(tmp_path: Path) -> None:
    """What is in memory is read all the while."""
    used, unused = a_collection(), a_collection()
    with small_disk(tmp_path / "disk", 24) as disk:
        engine = FaissEngine(tmp_path / "disk", threads=1, max_bytes=2**26)
        for collection in (used, unused):
            await engine.create_collection(collection)
            await engine.upsert(collection, [COSINE.record("old", 1, 0, 0, 0, text="x" * 5000)])
        await engine.aclose()
        engine = FaissEngine(tmp_path / "disk", threads=1, max_bytes=2**26)
        await engine.count(used)

        for collection in (used, unused, used):
            disk.fill()
            with pytest.raises(StorageFull):
                await engine.upsert(collection, [COSINE.record("new", 1, 0, 0, 0, text="x" * 50_000)])
        assert await engine.find(used, "old") is not None

        disk.free()
        for collection in (used, unused):
            await engine.upsert(collection, [COSINE.record("later", 1, 0, 0, 0)])
            assert await engine.count(collection) == 2
        await engine.aclose()


async def test_a_write_waits_less_for_a_server_that_was_full() -> None:
    """The test is over in a minute or never: the patience of one that takes writes is an hour."""
    patience = Patience(3600, when_full=0.01)
    begun = asyncio.Event()

    async def write() -> None:
        async with patience.waiting() as wait:
            waits.append(wait)
            begun.set()
            await asyncio.Event().wait()

    waits: list[Wait] = []
    before = asyncio.create_task(write())
    await begun.wait()
    patience.heard_full()

    async with asyncio.timeout(60):
        for waiting in (before, write()):
            with pytest.raises(TimeoutError):
                await waiting
    assert patience.is_full
    patience.heard_room()
    assert all(wait.is_short for wait in waits)  # so that both are told why they were cut, whatever was heard since


async def test_a_write_waits_as_before_once_one_was_taken() -> None:
    patience = Patience(3600, when_full=0.01)
    patience.heard_full()
    patience.heard_room()

    async with asyncio.timeout(60) as enough, patience.waiting():
        await asyncio.sleep(0.05)

    assert not enough.expired()
