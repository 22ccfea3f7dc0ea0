"""Files of vector stores when tasks are away, and when a request broke off between its steps: nothing is lost."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.suite import Suite
from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.domain import Collection, CollectionStatus
from services.vectors.stores.domain import (
    UNSUBMITTED_SECONDS,
    Attachment,
    AttachmentStatus,
    Chunking,
    Outcome,
)
from services.vectors.stores.following import Following
from services.vectors.stores.ports import Ingestions
from shared.errors import Relayed, ServiceError, StorageFull, Unavailable
from shared.identity import Caller
from shared.schemas import new_id
from tests.contracts.vectors.conftest import a_collection
from tests.fixtures.apps import ServiceClient
from tests.fixtures.disks import small_disk
from tests.fixtures.identity import User
from tests.fixtures.ports import free_port
from tests.services.vectors.storing import Stores, refusal

CALLER = Caller("ada", "tenant", frozenset({"vectors:read"}), "", 0, 0, "")


class ToldIngestions(Ingestions):
    """Tells of those in `ended`, and is away while that is None."""

    def __init__(self) -> None:
        self.ended: dict[str, AttachmentStatus] | None = {}
        self.asked: list[str] = []
        self.refusal: ServiceError | None = None

    async def submit(self, caller: Caller, name: str, attachments: Sequence[Attachment], key: str) -> list[Outcome]:
        raise NotImplementedError

    async def cancel(self, caller: Caller, task_id: str) -> None:
        raise NotImplementedError

    async def outcomes(self, caller: Caller, name: str, attachments: Sequence[Attachment]) -> list[Outcome]:
        if self.refusal is not None:
            raise self.refusal
        if self.ended is None:
            raise Unavailable("tasks")
        self.asked += [one.file_id for one in attachments]
        return [
            Outcome(one.file_id, one.version, None, self.ended[one.task_id])
            for one in attachments
            if one.task_id in self.ended
        ]


@pytest.fixture
def ingestions() -> ToldIngestions:
    return ToldIngestions()


@pytest.fixture
async def catalogue(tmp_path: Path) -> SqliteCatalogue:
    return SqliteCatalogue(tmp_path / "catalogue.db")


@pytest.fixture
async def collection(catalogue: SqliteCatalogue) -> Collection:
    made = replace(a_collection(), status=CollectionStatus.READY)
    assert await catalogue.insert(made)
    return made


async def attached(
    catalogue: SqliteCatalogue, collection: Collection, task_id: str | None, *, age_seconds: float = 0
) -> Attachment:
    made = Attachment(
        file_id=new_id(),
        file_name="guide.md",
        bytes=10,
        attributes={},
        chunking=Chunking(),
        version=new_id(),
        created_at=datetime.now(UTC) - timedelta(seconds=age_seconds),
        task_id=task_id,
    )
    assert (await catalogue.attach(collection, [made], most=10, seconds=0)).anew == [made]
    return made


async def test_an_end_is_written_down_and_asked_for_once(
    catalogue: SqliteCatalogue, collection: Collection, ingestions: ToldIngestions
) -> None:
    done, goes_on = await attached(catalogue, collection, "done"), await attached(catalogue, collection, "goes on")
    following = Following(catalogue, ingestions)
    ingestions.ended = {"done": AttachmentStatus.COMPLETED}

    await following.look(CALLER, collection)
    await following.look(CALLER, collection)

    store = await catalogue.find_store(collection.tenant_id, collection.name)
    assert store is not None
    assert (store.counts.completed, store.counts.in_progress) == (1, 1)
    assert sorted(ingestions.asked) == sorted([done.file_id, goes_on.file_id, goes_on.file_id])


async def test_while_tasks_are_away_what_was_known_last_is_told(
    catalogue: SqliteCatalogue, collection: Collection, ingestions: ToldIngestions
) -> None:
    one = await attached(catalogue, collection, "task")
    following = Following(catalogue, ingestions)
    ingestions.ended = None

    assert await following.brought_up_to_date(CALLER, collection, [one]) == [one]

    ingestions.ended = {"task": AttachmentStatus.CANCELLED}
    (now,) = await following.brought_up_to_date(CALLER, collection, [one])
    assert now.status is AttachmentStatus.CANCELLED


async def test_a_refusal_is_not_taken_for_tasks_being_away(
    catalogue: SqliteCatalogue, collection: Collection, ingestions: ToldIngestions
) -> None:
    one = await attached(catalogue, collection, "task")
    following = Following(catalogue, ingestions)
    ingestions.refusal = Relayed(403, "common.missing_scope", "Forbidden", "no")

    with pytest.raises(Relayed):
        await following.brought_up_to_date(CALLER, collection, [one])

    may_only_write = replace(CALLER, scopes=frozenset({"vectors:write"}))
    assert await following.brought_up_to_date(may_only_write, collection, [one]) == [one], "tasks are not asked"


@pytest.mark.parametrize(
    ("age_seconds", "status"),
    [(UNSUBMITTED_SECONDS - 30, AttachmentStatus.IN_PROGRESS), (UNSUBMITTED_SECONDS + 1, AttachmentStatus.FAILED)],
    ids=["may come yet", "nobody did"],
)
async def test_what_was_never_handed_over_has_failed(
    catalogue: SqliteCatalogue,
    collection: Collection,
    ingestions: ToldIngestions,
    age_seconds: float,
    status: AttachmentStatus,
) -> None:
    one = await attached(catalogue, collection, None, age_seconds=age_seconds)

    (now,) = await Following(catalogue, ingestions).brought_up_to_date(CALLER, collection, [one])

    assert now.status is status
    (kept,) = await catalogue.find_attachments(collection, [one.file_id])
    assert (kept.status, kept.failure) == (now.status, now.failure)


async def test_a_full_disk_keeps_nobody_from_reading_what_became_of_a_file(
    tmp_path: Path, ingestions: ToldIngestions
) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        catalogue = SqliteCatalogue(tmp_path / "disk" / "catalogue.db")
        collection = replace(a_collection(), status=CollectionStatus.READY)
        assert await catalogue.insert(collection)
        one = await attached(catalogue, collection, "task")
        ingestions.ended = {"task": AttachmentStatus.COMPLETED}
        following = Following(catalogue, ingestions)

        disk.fill()
        with pytest.raises(StorageFull):
            await following.brought_up_to_date(CALLER, collection, [one])
        await following.look(CALLER, collection)
        (read,) = await following.brought_up_to_date(CALLER, collection, [one], to_read=True)
        disk.free()
        await following.look(CALLER, collection)
        (kept,) = await catalogue.find_attachments(collection, [one.file_id])
        await catalogue.aclose()

    assert read.status is kept.status is AttachmentStatus.COMPLETED


@pytest.mark.timeout(120)
async def test_a_repetition_finishes_what_tasks_did_not_take(
    suite: Suite, open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    """The worker asks the suite's own vectors for the file, which has none of it: so the ingestion ends, and fails."""
    suite.up(["vectors", "tasks", "tasks-worker"])
    known = json.loads(suite.environment("vectors")["STATIC_SERVICES"])
    away = known | {"tasks": f"http://127.0.0.1:{free_port()}"}
    kept = {"data_dir": tmp_path / "data", "files_dir": tmp_path / "files"}

    async with open_vectors("vectors", static_services=away, **kept) as client:
        stores = Stores(client, user)
        store, file_id, other = await stores.made(), await stores.upload(), await stores.upload()
        refused = await stores.call("POST", f"/{store}/files", json={"file_id": file_id})
        batch = await stores.call("POST", f"/{store}/file_batches", json={"file_ids": [other]})
        waiting = await stores.done("GET", f"/{store}/files/{file_id}")
    async with open_vectors("vectors", **kept) as client:
        stores = Stores(client, user)
        again = await stores.attach(store, file_id)
        ended = await stores.ended(store, file_id)
        repeated = await stores.done("POST", f"/{store}/file_batches", json={"file_ids": [other]})

    assert repeated["file_counts"]["total"] == 1, "without a key, and at once"
    assert refusal(refused)[:2] == refusal(batch)[:2] == (503, "common.unavailable")
    assert waiting["status"] == again["status"] == "in_progress"
    assert ended["status"] == "failed"
    assert "vectors.file_not_found" in ended["last_error"]["message"]
