"""What is done at once to a file of a vector store: nothing of one that is gone comes back, none is ingested twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.vectors.collections.schemas import CollectionCreate
from services.vectors.domain import Collection, EngineName
from services.vectors.errors import CollectionAliased, CollectionNotFound
from services.vectors.files.domain import FileStatus, Part, StoredFile, Upload
from services.vectors.files.service import FileService
from services.vectors.records.listing import ListingService
from services.vectors.records.schemas import DeleteRequest, StoreRequest
from services.vectors.stores.attaching import AttachmentService
from services.vectors.stores.attachment_schemas import FileAttach
from services.vectors.stores.attributes import AttributeService
from services.vectors.stores.domain import Attachment, AttachmentStatus, Outcome, Span
from services.vectors.stores.errors import AttachmentChanged, AttachmentNotFound, AttachmentUnderWay, BatchNotFound
from services.vectors.stores.fencing import Fence
from services.vectors.stores.following import Following
from services.vectors.stores.parts import PartService
from services.vectors.stores.ports import Ingestions
from services.vectors.stores.schemas import StoreCreate, StoreUpdate
from services.vectors.stores.service import StoreService
from services.vectors.stores.stopping import Stopping
from shared.door import Once
from shared.errors import MissingScope, Relayed, ServiceError, StorageFull, Unavailable, UpstreamTimeout
from shared.identity import Caller
from shared.resources import CursorCodec
from shared.schemas import new_id
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.vectors.test_moving import Compass, World
from tests.services.vectors.test_races import a_caller

FILE = new_id()
STORE = "shop"
ALL = ("vectors:read", "vectors:write", "tasks:write")


class Tasks(Ingestions):
    """Takes what is submitted, once under a key and a user, and ends nothing by itself."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], list[Attachment]] = {}
        self.ended: dict[str, AttachmentStatus] = {}
        self.cancelled: list[str] = []
        self.makers: dict[str, str] = {}
        self.asked = 0
        self.before_submitting: list[asyncio.Event] = []
        self.submitting = asyncio.Event()
        self.is_away = False

    async def submit(self, caller: Caller, name: str, attachments: Sequence[Attachment], key: str) -> list[Outcome]:
        self.submitting.set()
        if self.before_submitting:
            await self.before_submitting.pop(0).wait()
        if self.is_away:
            raise Unavailable("tasks")
        self.taken[caller.subject, key] = list(attachments)
        self.makers |= {f"task of {one.version}": caller.subject for one in attachments}
        return [
            Outcome(one.file_id, one.version, f"task of {one.version}", AttachmentStatus.IN_PROGRESS)
            for one in attachments
        ]

    async def outcomes(self, caller: Caller, name: str, attachments: Sequence[Attachment]) -> list[Outcome]:
        self.asked += 1
        if not caller.allows("vectors:read", name):
            raise MissingScope("vectors:read")
        return [
            Outcome(one.file_id, one.version, None, self.ended[one.task_id])
            for one in attachments
            if one.task_id in self.ended
        ]

    async def cancel(self, caller: Caller, task_id: str) -> None:
        if self.makers[task_id] != caller.subject:
            raise Relayed(404, "tasks.task_not_found", "Not Found", "none")
        self.cancelled.append(task_id)


class Uploaded(FileService):
    """Has every file that is asked for."""

    def __init__(self) -> None:
        """Of nothing that a file service stands on."""

    async def get_whole(self, caller: Caller, file_id: str) -> StoredFile:
        now = datetime.now(UTC)
        upload = Upload("guide.md", 10, 10, now, now, new_id())
        return StoredFile(file_id, caller.tenant_id, upload, FileStatus.READY, "text/plain", (Part(0, 10),))


class Shop(World):
    """A tenant's vector stores, of which `shop` is one."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.tasks, self.fence = Tasks(), Fence(self.catalogue, patience_seconds=PATIENCE_SECONDS)
        following, stopping = Following(self.catalogue, self.tasks), Stopping(self.catalogue, self.tasks)
        embedder: Any = Compass()
        self.attachments = AttachmentService(
            self.catalogue,
            self.collections,
            Uploaded(),
            self.records,
            self.tasks,
            following,
            stopping,
            embedder,
            self.fence,
            self.activity,
        )
        parts = PartService(self.attachments, ListingService(self.collections, CursorCodec("x" * 32)))
        self.attributes = AttributeService(
            self.catalogue, self.collections, self.attachments, parts, self.records, self.fence
        )
        self.stores = StoreService(self.catalogue, self.collections, self.attachments, following, stopping)
        self.caller = replace(self.caller, scopes=frozenset(ALL))
        self.colleague = a_caller(self.caller.tenant_id, *ALL)
        self.colleague = replace(self.colleague, subject="grace")

    def is_impatient(self) -> None:
        """What is under way does not end in time."""
        self.fence._patience_seconds = 0.1

    async def attached(self, caller: Caller | None = None, **about: Any) -> Attachment:
        return await self.attachments.attach(caller or self.caller, STORE, _wanted(**about), None)

    async def ingests(self, attachment: Attachment, *numbers: int) -> None:
        """As the task that was submitted for it."""
        items = [
            {
                "id": f"{FILE}#{n}",
                "text": "east",
                "metadata": {"document_id": FILE, "chunk": n, **attachment.attributes},
            }
            for n in numbers
        ]
        body = {"collection": STORE, "items": items, "attached_as": _as(attachment)}
        await self.records.store(self.caller, StoreRequest.model_validate(body))

    def end(self, attachment: Attachment, status: AttachmentStatus = AttachmentStatus.COMPLETED) -> None:
        self.tasks.ended[f"task of {attachment.version}"] = status

    async def ingested(self, **about: Any) -> Attachment:
        attachment = await self.attached(**about)
        await self.ingests(attachment, 0, 1)
        self.end(attachment)
        return attachment

    async def collection(self) -> Collection:
        return (await self.collections.get(self.caller, STORE)).collection

    async def current(self) -> Attachment:
        return await self.attachments.get(self.caller, STORE, FILE)

    async def count(self) -> int:
        counted = await self.collections.get(self.caller, STORE)
        assert counted.count is not None
        return counted.count

    def held_up(self) -> tuple[asyncio.Event, asyncio.Event]:
        """What is written next: that it has come to the engine, and what lets it go on."""
        came, goes_on = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            came.set()
            await goes_on.wait()

        self.engine.before.append(wait)
        return came, goes_on


@asynccontextmanager
async def opened_shop(root: Path) -> AsyncIterator[Shop]:
    opened = Shop(root)
    await opened.collections.create(opened.caller, CollectionCreate(name=STORE, engine=EngineName.FAISS, dimension=2))
    yield opened
    await opened.engine.aclose()
    await opened.catalogue.aclose()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened_shop(tmp_path) as opened:
        yield opened


def _wanted(**about: Any) -> FileAttach:
    return FileAttach.model_validate({"file_id": FILE, **about})


def _as(attachment: Attachment) -> dict[str, str]:
    return {"file_id": attachment.file_id, "version": attachment.version}


async def test_a_write_that_comes_after_the_file_was_detached_is_refused(shop: Shop) -> None:
    attachment = await shop.attached()
    await shop.ingests(attachment, 0)

    await shop.attachments.detach(shop.caller, STORE, FILE)

    with pytest.raises(AttachmentChanged):
        await shop.ingests(attachment, 1)
    assert await shop.count() == 0


async def test_a_write_under_way_is_waited_for_and_taken_away(shop: Shop) -> None:
    attachment = await shop.attached()
    came, goes_on = shop.held_up()
    writing = asyncio.create_task(shop.ingests(attachment, 0))
    await came.wait()

    detaching = asyncio.create_task(shop.attachments.detach(shop.caller, STORE, FILE))
    done, _ = await asyncio.wait({detaching}, timeout=0.3)
    goes_on.set()
    await asyncio.gather(writing, detaching)

    assert not done, "what is written now would have stayed"
    assert await shop.count() == 0


async def test_a_write_that_hangs_keeps_its_file_attached(shop: Shop) -> None:
    attachment = await shop.attached()
    came, goes_on = shop.held_up()
    writing = asyncio.create_task(shop.ingests(attachment, 0))
    await came.wait()
    shop.is_impatient()

    with pytest.raises(AttachmentUnderWay):
        await shop.attachments.detach(shop.caller, STORE, FILE)

    goes_on.set()
    await writing
    await shop.attachments.detach(shop.caller, STORE, FILE)
    assert await shop.count() == 0


@pytest.mark.parametrize(
    ("error", "may_be_written"),
    [(Unavailable("faiss"), True), (UpstreamTimeout("faiss"), True), (StorageFull("faiss"), False)],
    ids=["cut off", "late", "no room"],
)
async def test_a_write_whose_end_nobody_saw_keeps_its_file_attached(
    shop: Shop, error: ServiceError, may_be_written: bool
) -> None:
    """An engine whose connection broke may write on, and what comes after the file is gone would stay."""
    attachment = await shop.attached()

    async def break_off() -> None:
        raise error

    shop.engine.before.append(break_off)
    with pytest.raises(type(error)):
        await shop.ingests(attachment, 0)
    await shop.ingests(attachment, 0)  # its task goes on
    shop.is_impatient()

    with pytest.raises(AttachmentUnderWay) if may_be_written else nullcontext():
        await shop.attachments.detach(shop.caller, STORE, FILE)


async def test_leftovers_of_an_ingestion_that_was_given_up_are_not_deleted_by_it(shop: Shop) -> None:
    former = await shop.ingested()
    await shop.ingested(attributes={"year": 2026})
    everything = {"field": "chunk", "op": "gte", "value": 0}
    body = {"collection": STORE, "filter": everything, "attached_as": _as(former)}

    with pytest.raises(AttachmentChanged):
        await shop.records.delete(shop.caller, DeleteRequest.model_validate(body))

    assert await shop.count() == 2


async def test_nobody_attaches_a_file_that_is_being_detached(shop: Shop) -> None:
    """It found its records there, stored none, and was completed without any."""
    attachment = await shop.ingested()

    async with shop.fence.changing(await shop.collection(), (await shop.current()).mark):
        with pytest.raises(AttachmentUnderWay):
            await shop.attached()
    assert (await shop.current()).version == attachment.version


async def test_a_file_that_was_attached_anew_is_not_detached_by_who_saw_the_former(shop: Shop) -> None:
    former = await shop.ingested()
    await shop.current()
    latter = await shop.attached()

    with pytest.raises(AttachmentUnderWay):
        async with shop.fence.changing(await shop.collection(), former.mark):
            pytest.fail("it is another now")
    await shop.ingests(latter, 0)


async def test_of_two_who_detach_one_finds_nothing(shop: Shop) -> None:
    await shop.ingested()

    told = await asyncio.gather(
        *(shop.attachments.detach(shop.caller, STORE, FILE) for _ in range(2)), return_exceptions=True
    )

    assert [type(one) for one in told if one is not None] == [AttachmentNotFound]
    assert await shop.count() == 0


async def test_two_users_at_once_have_a_file_ingested_once(shop: Shop) -> None:
    shop.tasks.before_submitting.append(goes_on := asyncio.Event())
    first = asyncio.create_task(shop.attached())
    await shop.tasks.submitting.wait()

    second = await shop.attached(shop.colleague)
    await shop.attachments.attach_batch(shop.colleague, STORE, [_wanted()], None)
    goes_on.set()
    await first

    assert [maker for maker, _ in shop.tasks.taken] == [shop.caller.subject]
    current = await shop.current()
    assert current.task_id in shop.tasks.makers
    assert (second.version, second.status) == (current.version, AttachmentStatus.IN_PROGRESS)


async def test_of_two_ingestions_only_the_one_that_is_known_writes(shop: Shop) -> None:
    """Tasks took the first, but nobody heard of that."""
    shop.tasks.is_away = True
    with pytest.raises(Unavailable):
        await shop.attached()
    former = await shop.current()
    shop.tasks.is_away = False

    latter = await shop.attached(shop.colleague)

    with pytest.raises(AttachmentChanged):
        await shop.ingests(former, 0)
    await shop.ingests(latter, 0)


async def test_a_batch_that_tasks_did_not_take_is_repeated_at_once(shop: Shop) -> None:
    shop.tasks.is_away = True
    with pytest.raises(Unavailable):
        await shop.attachments.attach_batch(shop.caller, STORE, [_wanted()], None)
    shop.tasks.is_away = False

    batch_id = await shop.attachments.attach_batch(shop.caller, STORE, [_wanted()], None)
    again = await shop.attachments.attach_batch(shop.caller, STORE, [_wanted()], None)

    assert (await shop.current()).batch_id == again != batch_id
    assert len(shop.tasks.taken) == 1, "what goes on just so is of the later batch"


async def test_the_files_of_a_batch_are_listed_with_one_call(shop: Shop) -> None:
    batch_id = await shop.attachments.attach_batch(shop.caller, STORE, [_wanted()], None)
    shop.tasks.asked = 0

    listed = await shop.attachments.list_page(shop.caller, STORE, Span(10), batch_id=batch_id)

    assert ([one.file_id for one in listed], shop.tasks.asked) == ([FILE], 1)
    with pytest.raises(BatchNotFound):
        await shop.attachments.list_page(shop.caller, STORE, Span(10), batch_id=new_id())


async def test_what_has_ended_is_not_in_the_way_of_who_cancels_a_batch(shop: Shop) -> None:
    """Though nobody has looked since, and it was another's task."""
    batch_id = await shop.attachments.attach_batch(shop.colleague, STORE, [_wanted()], None)
    shop.end(await shop.current())

    batch = await shop.attachments.cancel_batch(shop.caller, STORE, batch_id)

    assert (batch.counts.completed, batch.counts.total) == (1, 1)
    assert shop.tasks.cancelled == []


async def test_the_file_that_is_in_the_way_is_named(shop: Shop) -> None:
    await shop.attached(attributes={"year": 2026})
    others = [FileAttach(file_id=new_id()), _wanted(attributes={"year": 2027})]

    with pytest.raises(AttachmentUnderWay, match=FILE):
        await shop.attachments.attach_batch(shop.caller, STORE, others, None)


async def test_a_store_that_an_alias_points_to_keeps_its_ingestions(shop: Shop) -> None:
    attachment = await shop.attached()
    await shop.aliases.point(shop.caller, "now", STORE)

    with pytest.raises(CollectionAliased):
        await shop.stores.delete(shop.caller, STORE)

    assert shop.tasks.cancelled == []
    await shop.ingests(attachment, 0)


async def test_who_may_write_and_not_read_deletes_a_store(shop: Shop) -> None:
    attachment = await shop.attached()
    writer = replace(shop.caller, scopes=frozenset({"vectors:write"}))

    await shop.stores.update(writer, STORE, StoreUpdate(name="Shop"))
    await shop.stores.delete(writer, STORE)

    with pytest.raises(CollectionNotFound):
        await shop.ingests(attachment, 0)


async def test_an_ingestion_makes_no_store_anew(shop: Shop) -> None:
    attachment = await shop.attached()

    await shop.stores.delete(shop.caller, STORE)

    assert shop.tasks.cancelled == [attachment.task_id]
    with pytest.raises(CollectionNotFound):
        await shop.ingests(attachment, 0)
    await shop.collections.create(shop.caller, CollectionCreate(name=STORE, engine=EngineName.FAISS, dimension=2))
    with pytest.raises(AttachmentChanged):
        await shop.ingests(attachment, 0)
    assert await shop.count() == 0


async def test_a_write_under_way_does_not_go_to_a_store_that_was_made_anew(shop: Shop) -> None:
    attachment = await shop.attached()

    async def anew() -> None:
        await shop.stores.delete(shop.caller, STORE)
        await shop.collections.create(shop.caller, CollectionCreate(name=STORE, engine=EngineName.FAISS, dimension=2))

    shop.engine.before.append(anew)

    with pytest.raises(AttachmentChanged):
        await shop.ingests(attachment, 0)
    assert await shop.count() == 0


async def test_of_two_changes_of_attributes_one_comes_after_the_other(shop: Shop) -> None:
    await shop.ingested(attributes={"year": 1, "of": "nobody"})

    came, goes_on = shop.held_up()
    first = asyncio.create_task(shop.attributes.update(shop.caller, STORE, FILE, {"year": 2, "of": "2"}))
    await came.wait()
    second = asyncio.create_task(shop.attributes.update(shop.caller, STORE, FILE, {"year": 3, "of": "3"}))
    await asyncio.wait({second}, timeout=0.3)
    goes_on.set()
    await asyncio.gather(first, second)

    kept = (await shop.current()).attributes
    records = [await shop.records.get(shop.caller, STORE, f"{FILE}#{n}") for n in (0, 1)]
    assert kept["of"] == str(kept["year"])
    assert [{name: record.metadata[name] for name in kept} for record in records] == [kept, kept]


async def test_a_record_that_is_deleted_meanwhile_holds_up_no_change_of_attributes(shop: Shop) -> None:
    await shop.ingested(attributes={"year": 1})

    came, goes_on = shop.held_up()
    changing = asyncio.create_task(shop.attributes.update(shop.caller, STORE, FILE, {"year": 2}))
    await came.wait()
    await shop.records.delete_one(shop.caller, STORE, f"{FILE}#0")
    goes_on.set()

    assert (await changing).attributes == {"year": 2}
    record = await shop.records.get(shop.caller, STORE, f"{FILE}#1")
    assert record.metadata["year"] == 2


async def test_true_is_another_attribute_than_one(shop: Shop) -> None:
    await shop.ingested(attributes={"draft": 1})

    await shop.attributes.update(shop.caller, STORE, FILE, {"draft": True})

    record = await shop.records.get(shop.caller, STORE, f"{FILE}#0")
    assert record.metadata["draft"] is True


async def test_of_two_changes_of_a_store_each_is_kept(shop: Shop) -> None:
    await asyncio.gather(
        shop.stores.update(shop.caller, STORE, StoreUpdate(name="Shop")),
        shop.stores.update(shop.caller, STORE, StoreUpdate(metadata={"team": "sales"})),
    )

    about = (await shop.stores.get(shop.caller, STORE)).about
    assert about is not None
    assert (about.title, about.metadata) == ("Shop", {"team": "sales"})


async def test_a_repetition_whose_kept_answer_is_lost_undoes_no_change_of_the_store(shop: Shop) -> None:
    """Redis keeps answers, and may lose them; the store is found by its key all the same."""
    body = StoreCreate.model_validate(
        {"name": "Old", "metadata": {"engine": "faiss"}, "expires_after": {"anchor": "last_active_at", "days": 1}}
    )
    key = bytes(32)
    made = await shop.stores.create(shop.caller, body, Once(key, key))
    week = {"anchor": "last_active_at", "days": 7}
    changed = StoreUpdate.model_validate({"name": "New", "expires_after": week})
    await shop.stores.update(shop.caller, made.collection.name, changed)

    again = await shop.stores.create(shop.caller, body, Once(key, key))

    assert again.collection == made.collection
    assert (again.about and again.about.title, again.expiry and again.expiry.days) == ("New", 7)
