"""Vector stores in the catalogue, here and on a node: what is told of a collection, and the files attached to it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.vectors.domain import Collection, CollectionStatus
from services.vectors.ports import Catalogue
from services.vectors.stores.domain import (
    About,
    Attachment,
    AttachmentStatus,
    AttachRefused,
    Chunking,
    Counts,
    Failure,
    Outcome,
    Span,
)
from shared.schemas import new_id
from tests.contracts.vectors.conftest import a_collection

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
ALL = Span(limit=100)


async def ready(
    catalogue: Catalogue, name: str = "blue", *, minute: int = 0, tenant_id: str | None = None
) -> Collection:
    one = replace(
        a_collection(),
        id=new_id(),
        name=name,
        status=CollectionStatus.READY,
        created_at=START + timedelta(minutes=minute),
    )
    made = one if tenant_id is None else replace(one, tenant_id=tenant_id)
    assert await catalogue.insert(made)
    return made


def attachment(file_id: str, *, minute: int = 0, batch_id: str | None = None) -> Attachment:
    return Attachment(
        file_id=file_id,
        file_name=f"{file_id}.md",
        bytes=100,
        attributes={"year": 2026, "draft": False, "by": "Ärzte"},
        chunking=Chunking(200, None),
        version=new_id(),
        created_at=START + timedelta(minutes=minute),
        batch_id=batch_id,
    )


async def attached(catalogue: Catalogue, collection: Collection, *files: Attachment) -> Sequence[Attachment]:
    assert await catalogue.attach(collection, files, 10) is None
    return files


async def listed(catalogue: Catalogue, collection: Collection, span: Span = ALL) -> list[str] | None:
    found = await catalogue.list_attachments(collection, span, status=None, batch_id=None)
    return None if found is None else [one.file_id for one in found]


async def test_what_is_told_of_a_store_is_kept_beside_its_collection(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    about = About("Support FAQ", "what people ask", {"team": "help"})
    untold = await catalogue.find_store(blue.tenant_id, "blue")

    assert await catalogue.describe(blue, about)

    store = await catalogue.find_store(blue.tenant_id, "blue")
    assert untold is not None
    assert (untold.collection, untold.about, untold.counts) == (blue, None, Counts())
    assert store is not None
    assert (store.collection, store.about) == (blue, about)
    assert await catalogue.list_stores(new_id(), ALL) == [], "of another tenant"
    assert not await catalogue.describe(replace(blue, id=new_id()), about), "of one that is gone"


async def test_stores_are_listed_by_age_from_either_end(catalogue: Catalogue) -> None:
    tenant_id = new_id()
    for minute, name in enumerate(["c", "a", "b"]):
        await ready(catalogue, name, minute=minute, tenant_id=tenant_id)
    gone = await ready(catalogue, "d", minute=5, tenant_id=tenant_id)
    await catalogue.retire(gone)

    async def names(**span: object) -> list[str] | None:
        found = await catalogue.list_stores(tenant_id, Span(**{"limit": 10, **span}))  # type: ignore[arg-type]
        return None if found is None else [store.collection.name for store in found]

    assert await names() == ["b", "a", "c"]
    assert await names(newest_first=False) == ["c", "a", "b"]
    assert await names(after="b") == ["a", "c"]
    assert await names(before="c", limit=1) == ["a"], "those next to it"
    assert await names(before="b", newest_first=False) == ["c", "a"]
    assert await names(after="nowhere") is None


async def test_an_attachment_is_found_as_it_was_kept(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    one, two = await attached(catalogue, blue, attachment("one"), attachment("two", minute=1, batch_id="batch"))

    assert await catalogue.find_attachments(blue, ["one", "none"]) == [one]
    assert await listed(catalogue, blue) == ["two", "one"]
    assert await listed(catalogue, blue, Span(1, after="two")) == ["one"]
    assert await listed(catalogue, blue, Span(1, after="none")) is None
    of_batch = await catalogue.list_attachments(blue, ALL, status=AttachmentStatus.IN_PROGRESS, batch_id="batch")
    assert of_batch == [two]
    assert await catalogue.list_attached(blue.tenant_id, "one") == ["blue"]
    assert await catalogue.list_attached(new_id(), "one") == [], "of another tenant"


async def test_no_store_has_more_files_than_it_may(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    _, two = await attached(catalogue, blue, attachment("one"), attachment("two"))

    assert await catalogue.attach(blue, [attachment("three")], 2) is AttachRefused.TOO_MANY
    assert await catalogue.attach(blue, [two], 2) is None, "which is there"
    assert await catalogue.attach(replace(blue, id=new_id()), [attachment("one")], 2) is AttachRefused.GONE
    assert await listed(catalogue, blue) == ["two", "one"]


async def test_a_file_that_is_being_ingested_is_not_attached_otherwise(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    (one,) = await attached(catalogue, blue, attachment("one"))

    assert await catalogue.attach(blue, [attachment("two"), attachment("one")], 10) is AttachRefused.UNDER_WAY
    assert await catalogue.attach(blue, [one], 10) is None, "a repetition"
    assert await listed(catalogue, blue) == ["one"], "all of them or none"

    await catalogue.settle(blue, [Outcome("one", one.version, None, AttachmentStatus.COMPLETED)])
    assert await catalogue.attach(blue, [attachment("one")], 10) is None


async def test_an_outcome_is_that_of_the_version_it_is_told_of_and_final(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    (one, two) = await attached(catalogue, blue, attachment("one"), attachment("two"))
    failed = Failure("tasks.document_broken", "it is cut")

    await catalogue.settle(blue, [Outcome("one", one.version, "task-1", AttachmentStatus.IN_PROGRESS)])
    await catalogue.settle(
        blue,
        [
            Outcome("one", one.version, None, AttachmentStatus.COMPLETED),
            Outcome("two", new_id(), None, AttachmentStatus.CANCELLED),
        ],
    )
    await catalogue.settle(blue, [Outcome("one", one.version, None, AttachmentStatus.FAILED, failed)])

    (kept,) = await catalogue.find_attachments(blue, ["one"])
    assert kept == replace(one, task_id="task-1", status=AttachmentStatus.COMPLETED)
    assert await catalogue.find_attachments(blue, ["two"]) == [two], "attached anew since"
    await catalogue.settle(blue, [Outcome("two", two.version, None, AttachmentStatus.FAILED, failed)])
    assert (await catalogue.find_attachments(blue, ["two"]))[0].failure == failed
    store = await catalogue.find_store(blue.tenant_id, "blue")
    assert store is not None
    assert store.counts == Counts(completed=1, failed=1, bytes=100)


async def test_a_batch_counts_the_files_that_are_still_its_own(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    one, two = attachment("one", batch_id="batch"), attachment("two", batch_id="batch", minute=3)
    await attached(catalogue, blue, one, two)
    await catalogue.settle(blue, [Outcome("two", two.version, None, AttachmentStatus.CANCELLED)])
    await attached(catalogue, blue, attachment("two"))

    batch = await catalogue.find_batch(blue, "batch")

    assert batch is not None
    assert (batch.created_at, batch.counts.total) == (START, 1)
    assert await catalogue.find_batch(blue, "none") is None


async def test_attributes_and_detaching_are_of_one_version(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    (one,) = await attached(catalogue, blue, attachment("one"))

    assert not await catalogue.set_attributes(blue, "one", new_id(), {})
    assert await catalogue.set_attributes(blue, "one", one.version, {"year": 2027})
    assert (await catalogue.find_attachments(blue, ["one"]))[0].attributes == {"year": 2027}
    assert not await catalogue.detach(blue, "one", new_id())
    assert await catalogue.detach(blue, "one", one.version)
    assert await listed(catalogue, blue) == []


async def test_what_a_store_has_goes_with_its_collection(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    await catalogue.describe(blue, About("Support"))
    await attached(catalogue, blue, attachment("one"))

    await catalogue.remove(blue)

    assert await catalogue.insert(blue)
    store = await catalogue.find_store(blue.tenant_id, "blue")
    assert store is not None
    assert (store.about, store.counts.total) == (None, 0)
