"""Requests that meet: two who make one collection, one who deletes what another makes or finishes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.collections.domain import Named
from services.vectors.collections.schemas import CollectionCreate
from services.vectors.collections.service import CollectionService
from services.vectors.domain import Collection, CollectionStatus, EngineName
from services.vectors.errors import CollectionExists, CollectionNotFound
from shared.errors import Unavailable
from shared.identity import Caller
from shared.resources import CursorCodec
from shared.schemas import new_id
from tests.contracts.vectors.conftest import a_collection
from tests.services.vectors.test_collections import COLLECTIONS, ENGINES

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


class PausedEngine(FaissEngine):
    """FAISS, where a creation waits until it is let go on, or fails."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, threads=1, max_bytes=2**20)
        self.entered, self.released, self.fails = asyncio.Event(), asyncio.Event(), False

    async def create_collection(self, collection: Collection) -> None:
        self.entered.set()
        await self.released.wait()
        if self.fails:
            raise Unavailable(self.name.component)
        await super().create_collection(collection)


class NobodyListens:
    def tell(self, by: Caller, action: str, target: str, *, once: str | None = None, **details: int | str) -> None:
        """What is told is not looked at here."""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[PausedEngine]:
    opened = PausedEngine(tmp_path / "faiss")
    yield opened
    await opened.aclose()


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[SqliteCatalogue]:
    opened = SqliteCatalogue(tmp_path / "catalogue.db")
    yield opened
    await opened.aclose()


@pytest.fixture
def collections(engine: PausedEngine, catalogue: SqliteCatalogue) -> CollectionService:
    return CollectionService(catalogue, {EngineName.FAISS: engine}, CursorCodec("x" * 32), 4, NobodyListens())


def a_caller(tenant_id: str, *scopes: str) -> Caller:
    return Caller("ada", tenant_id, frozenset(scopes), new_id(), 0.0, 0.0, "")


@pytest.mark.parametrize("engine_name", ENGINES)
async def test_of_identical_creations_at_once_one_is_created(client: httpx.AsyncClient, engine_name: str) -> None:
    body = {"name": f"raced-{new_id()[-12:]}", "engine": engine_name, "dimension": 2}

    answers = await asyncio.gather(*(client.post(COLLECTIONS, json=body) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"vectors.collection_exists"}
    read = await client.get(f"{COLLECTIONS}/{body['name']}")
    assert read.json()["status"] == "ready"


async def test_what_is_being_made_is_taken_and_what_was_left_is_finished_once(
    collections: CollectionService, catalogue: SqliteCatalogue, engine: PausedEngine
) -> None:
    being_made = a_collection()
    caller, body = a_caller(being_made.tenant_id), CollectionCreate(name="things", engine="faiss", dimension=4)
    engine.released.set()
    await catalogue.insert(being_made)
    with pytest.raises(CollectionExists):
        await collections.create(caller, body)
    await catalogue.remove(being_made)
    await catalogue.insert(replace(being_made, created_at=LONG_AGO))

    made = await asyncio.gather(*(collections.create(caller, body) for _ in range(4)), return_exceptions=True)

    assert sum(isinstance(one, CollectionExists) for one in made) == 3
    found = await collections.get_ready(caller, Named.to_read("things"))
    assert (found.id, found.status) == (being_made.id, CollectionStatus.READY)


async def test_what_is_deleted_while_another_finishes_it_does_not_come_back(
    collections: CollectionService, catalogue: SqliteCatalogue, engine: PausedEngine
) -> None:
    begun = a_collection()
    caller = a_caller(begun.tenant_id)
    await catalogue.insert(begun)
    finishing = asyncio.create_task(collections.get_ready(caller, Named.to_read("things")))
    await engine.entered.wait()

    await collections.delete(caller, "things")
    engine.released.set()

    with pytest.raises(CollectionNotFound):
        await finishing
    assert await engine.holds(begun) is False
    with pytest.raises(CollectionNotFound):
        await collections.get_ready(caller, Named.to_read("things"))


async def test_a_creation_that_fails_leaves_what_another_finished(
    collections: CollectionService, catalogue: SqliteCatalogue, engine: PausedEngine
) -> None:
    caller = a_caller(new_id())
    body = CollectionCreate(name="things", engine="faiss", dimension=4)
    failing = asyncio.create_task(collections.create(caller, body))
    await engine.entered.wait()
    begun = await catalogue.find(caller.tenant_id, "things")
    assert begun is not None
    await catalogue.set_status(begun, CollectionStatus.READY)  # by a store that came in between

    engine.fails = True
    engine.released.set()

    with pytest.raises(Unavailable):
        await failing
    assert await catalogue.find(caller.tenant_id, "things") == replace(begun, status=CollectionStatus.READY)


async def test_a_tag_tells_a_collection_from_the_one_that_had_its_name(client: httpx.AsyncClient) -> None:
    place, body = f"{COLLECTIONS}/tagged", {"name": "tagged", "engine": "faiss", "dimension": 2}
    first = (await client.post(COLLECTIONS, json=body)).headers["ETag"]
    assert (await client.get(place)).headers["ETag"] == first
    assert (await client.delete(place, headers={"If-Match": first})).status_code == 204
    second = (await client.post(COLLECTIONS, json=body)).headers["ETag"]

    refused = await client.delete(place, headers={"If-Match": first})

    assert second != first
    assert (refused.status_code, refused.json()["code"]) == (412, "common.precondition_failed")
    assert (await client.delete(place, headers={"If-Match": second})).status_code == 204
