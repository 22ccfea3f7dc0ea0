"""Steps of a copy that are broken off, overtaken or late: the target has what the source has all the same."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.collections.domain import Named
from services.vectors.collections.schemas import CollectionCreate
from services.vectors.collections.service import CollectionService
from services.vectors.copies import transfer, verifying
from services.vectors.copies.domain import Copy, CopyPhase
from services.vectors.copies.errors import CopyBusy
from services.vectors.copies.noting import Journal
from services.vectors.copies.schemas import CopyBegin, CopyStep
from services.vectors.copies.service import CopyService
from services.vectors.domain import Collection, EngineName, Match, Metadata, Record
from services.vectors.usage.domain import Quotas
from services.vectors.usage.service import UsageService
from shared.errors import Unavailable
from shared.identity import Caller
from shared.resources import CursorCodec
from shared.schemas import new_id
from tests.services.vectors.test_races import NobodyListens, a_caller


class SlowEngine(FaissEngine):
    """FAISS, where the next write to the target is held up, or fails after it was made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, threads=2, max_bytes=2**20)
        self.entered, self.released = asyncio.Event(), asyncio.Event()
        self.holds_up = self.fails = False
        self.most_chars = 0
        """Of the texts that were put into the target at once."""
        self.searches = 0

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        if collection.name == "green" and self.holds_up:
            self.holds_up = False
            self.entered.set()
            await self.released.wait()
        await super().upsert(collection, records)
        if collection.name == "green":
            self.most_chars = max(self.most_chars, sum(len(record.text or "") for record in records))
        if collection.name == "green" and self.fails:
            self.fails = False
            raise Unavailable(self.name.component)

    async def search(self, *given: Any, **more: Any) -> list[Match]:
        self.searches += 1
        return await super().search(*given, **more)


@dataclass
class Installation:
    """A source of one record, and what copies it; `turn_seconds` as for those who are long gone."""

    engine: SlowEngine
    catalogue: SqliteCatalogue
    collections: CollectionService
    copies: CopyService
    journal: Journal
    caller: Caller
    id: str

    async def write(self, value: int | None) -> bool:
        """A change as the service makes it: None deletes. Whether it has moved."""
        source = await self.collections.get_ready(self.caller, Named.to_write("blue"))
        if value is None:
            await self.engine.delete(source, ["a"])
        else:
            await self.engine.upsert(source, [Record("a", np.ones(4, np.float32), None, {"value": value})])
        return await self.journal.has_moved(Named.to_write("now"), source, ["a"], number=1)

    async def step(self) -> Copy:
        return await self.copies.step(self.caller, CopyStep(id=self.id, target="green"))

    async def until_ended(self) -> None:
        for _ in range(20):
            if (await self.step()).phase is CopyPhase.ENDED:
                return
        raise AssertionError("it does not end")

    async def found(self, name: str) -> Metadata | None:
        collection = await self.catalogue.find(self.caller.tenant_id, name)
        assert collection is not None
        record = await self.engine.find(collection, "a")
        return record.metadata if record else None


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    catalogue, engine = SqliteCatalogue(tmp_path / "catalogue.db"), SlowEngine(tmp_path / "faiss")
    cursors, nobody, engines = CursorCodec("x" * 32), NobodyListens(), {EngineName.FAISS: engine}
    collections = CollectionService(catalogue, engines, cursors, 4, nobody)
    usage = UsageService(catalogue, engines, Quotas())
    embedder = type("NoModel", (), {"model": "none", "dimension": 4})()
    copies = CopyService(catalogue, collections, embedder, nobody, usage, turn_seconds=0.0)
    caller = a_caller(new_id(), "vectors:read", "vectors:write")
    made = Installation(engine, catalogue, collections, copies, Journal(catalogue, 0.0), caller, new_id())
    await collections.create(caller, CollectionCreate(name="blue", engine=EngineName.FAISS, dimension=4))
    await made.write(1)
    await copies.begin(caller, CopyBegin(id=made.id, source="blue", target="green"))
    yield made
    await engine.aclose()
    await catalogue.aclose()


@pytest.mark.parametrize("value", [2, None])
async def test_a_step_that_was_overtaken_leaves_nothing_old_behind(
    installation: Installation, value: int | None
) -> None:
    """It has read the record, and writes it after another step has written, or deleted, what the record became."""
    installation.engine.holds_up = True
    late = asyncio.create_task(installation.step())
    await installation.engine.entered.wait()
    assert (await installation.step()).phase is CopyPhase.FOLLOWING
    await installation.write(value)
    verified = await installation.step()
    assert (verified.pending, await installation.found("green")) == (0, value and {"value": value})

    installation.engine.released.set()
    await late

    assert await installation.found("green") == {"value": 1}, "what is late is old"
    await installation.until_ended()
    assert await installation.found("green") == (value and {"value": value})


async def test_what_failed_after_it_was_written_is_done_again(installation: Installation) -> None:
    installation.engine.fails = True
    with pytest.raises(Unavailable):
        await installation.step()

    await installation.until_ended()

    assert await installation.found("green") == {"value": 1}


async def test_who_was_broken_off_while_writing_keeps_its_turn(installation: Installation) -> None:
    """What was sent may still arrive: another waits as long as that can be."""
    patient = CopyService(
        installation.catalogue,
        installation.collections,
        installation.copies._embedder,
        NobodyListens(),
        installation.copies._usage,
        turn_seconds=60.0,
    )
    installation.engine.fails = True
    step = CopyStep(id=installation.id, target="green")
    with pytest.raises(Unavailable):
        await patient.step(installation.caller, step)

    with pytest.raises(CopyBusy):
        await patient.step(installation.caller, step)


async def test_a_change_while_it_is_closed_opens_it_again(installation: Installation) -> None:
    """The writer waits no longer than it is told to; the end comes later, with its change."""
    while (await installation.step()).count is None:
        pass
    installation.engine.holds_up = True
    await installation.write(2)
    ending = asyncio.create_task(installation.step())
    await installation.engine.entered.wait()

    assert not await installation.write(3)
    installation.engine.released.set()

    assert (await ending).phase is CopyPhase.FOLLOWING
    await installation.until_ended()
    assert await installation.found("green") == {"value": 3}


async def test_large_records_that_changed_are_put_a_few_at_a_time(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_PUT_BYTES", 2**17)
    assert (await installation.step()).phase is CopyPhase.FOLLOWING
    named, ids = Named.to_write("blue"), [f"large {at}" for at in range(100)]
    source = await installation.collections.get_ready(installation.caller, named)
    vector = np.ones(4, np.float32)
    await installation.engine.upsert(source, [Record(one, vector, "x" * 2**12, {}) for one in ids])
    await installation.journal.has_moved(named, source, ids, number=len(ids))

    await installation.until_ended()

    assert 2**12 < installation.engine.most_chars <= 2**17


@pytest.mark.parametrize(("seconds", "searches"), [(60.0, 2 * 11), (0.0, 2)])
async def test_searches_that_take_long_are_fewer(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, seconds: float, searches: int
) -> None:
    """One of the source and one of the copy for each record: of a large collection a step has not the time for all."""
    monkeypatch.setattr(verifying, "_SEARCHED_SECONDS", seconds)
    source = await installation.collections.get_ready(installation.caller, Named.to_write("blue"))
    vectors = np.eye(4, dtype=np.float32)
    await installation.engine.upsert(source, [Record(f"{at}", vectors[at % 4], None, {}) for at in range(10)])

    await installation.until_ended()

    assert installation.engine.searches == searches
