"""Vector stores in the catalogue, here and on a node: what is told of a collection, and the files attached to it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.vectors.domain import Collection, CollectionStatus
from services.vectors.ports import Catalogue
from services.vectors.stores.domain import (
    About,
    Attached,
    Attachment,
    AttachmentStatus,
    AttachRefused,
    ChangeRefused,
    Chunking,
    Counts,
    Expired,
    Expiry,
    Failure,
    FenceMark,
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
    assert (await attaching(catalogue, collection, *files)).refused is None
    return files


async def attaching(catalogue: Catalogue, collection: Collection, *files: Attachment, most: int = 10) -> Attached:
    """As whoever has left by then: nobody submits."""
    attached = await catalogue.attach(collection, files, most=most, seconds=30)
    await catalogue.release(collection, [one.version for one in files])
    return attached


async def submitted(catalogue: Catalogue, collection: Collection, *files: Attachment) -> Sequence[Attachment]:
    await attached(catalogue, collection, *files)
    taken = [Outcome(one.file_id, one.version, new_id(), AttachmentStatus.IN_PROGRESS) for one in files]
    await catalogue.settle(collection, taken)
    return [replace(one, task_id=outcome.task_id) for one, outcome in zip(files, taken, strict=True)]


async def ended(catalogue: Catalogue, collection: Collection, *files: Attachment) -> None:
    await catalogue.settle(
        collection, [Outcome(one.file_id, one.version, None, AttachmentStatus.COMPLETED) for one in files]
    )


async def begins_write(catalogue: Catalogue, collection: Collection, one: Attachment, claim: str = "write") -> bool:
    return await catalogue.begin_write(collection, one.mark, claim=claim, seconds=30)


async def begins_change(
    catalogue: Catalogue, collection: Collection, one: Attachment, claim: str = "change"
) -> ChangeRefused | None:
    return await catalogue.begin_change(collection, one.mark, claim=claim, seconds=30)


async def listed(catalogue: Catalogue, collection: Collection, span: Span = ALL) -> list[str] | None:
    found = await catalogue.list_attachments(collection, span, status=None, batch_id=None)
    return None if found is None else [one.file_id for one in found]


async def test_what_is_told_of_a_store_is_kept_beside_its_collection(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    untold = await catalogue.find_store(blue.tenant_id, "blue")

    assert await catalogue.describe(
        blue, title="Support", description="what people ask", metadata={"team": "help"}, expiry=None
    )
    assert await catalogue.describe(blue, title="Support FAQ", description=None, metadata=None, expiry=None)
    assert await catalogue.describe(blue, title=None, description=None, metadata={"team": "sales"}, expiry=None)

    store = await catalogue.find_store(blue.tenant_id, "blue")
    assert untold is not None
    assert (untold.collection, untold.about, untold.counts) == (blue, None, Counts())
    assert store is not None
    assert store.collection == blue
    assert store.about == About("Support FAQ", "what people ask", {"team": "sales"}), "what was not told stays"
    assert await catalogue.list_stores(new_id(), ALL) == [], "of another tenant"
    gone = replace(blue, id=new_id())
    assert not await catalogue.describe(gone, title="Support", description=None, metadata=None, expiry=None)


async def test_stores_are_listed_by_age_from_either_end(catalogue: Catalogue) -> None:
    tenant_id = new_id()
    for minute, name in enumerate(["c", "a", "b"]):
        await ready(catalogue, name, minute=minute, tenant_id=tenant_id)
    gone = await ready(catalogue, "d", minute=5, tenant_id=tenant_id)
    await catalogue.retire(gone)

    async def names(**span: Any) -> list[str] | None:
        found = await catalogue.list_stores(tenant_id, Span(**{"limit": 10, **span}))
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

    refused = await attaching(catalogue, blue, attachment("three"), most=2)
    assert refused.refused is AttachRefused.TOO_MANY
    assert (await attaching(catalogue, blue, two, most=2)).refused is None, "which is there"
    gone = await attaching(catalogue, replace(blue, id=new_id()), attachment("one"))
    assert gone.refused is AttachRefused.GONE
    assert await listed(catalogue, blue) == ["two", "one"]


async def test_a_file_that_is_being_ingested_is_not_attached_otherwise(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    (one,) = await submitted(catalogue, blue, attachment("one"))
    other = replace(attachment("one"), attributes={"year": 2026, "draft": 0, "by": "Ärzte"})

    refused = await attaching(catalogue, blue, attachment("two"), other)
    assert (refused.refused, refused.file_id) == (AttachRefused.UNDER_WAY, "one"), "0 is not false"
    assert await listed(catalogue, blue) == ["one"], "all of them or none"

    await ended(catalogue, blue, one)
    assert (await attaching(catalogue, blue, other)).anew == [other]


async def test_who_attaches_what_is_under_way_just_so_ingests_nothing(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    (one,) = await submitted(catalogue, blue, attachment("one"))

    assert (await attaching(catalogue, blue, one)).anew == [], "a repetition"
    attached = await attaching(catalogue, blue, attachment("one", batch_id="batch"))

    assert (attached.refused, attached.anew) == (None, [])
    assert await catalogue.find_attachments(blue, ["one"]) == [replace(one, batch_id="batch")]


async def test_one_at_a_time_submits_a_file(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    first, second, third = attachment("one"), attachment("one"), attachment("one", batch_id="batch")

    one = await catalogue.attach(blue, [first], most=10, seconds=30)
    meanwhile = await catalogue.attach(blue, [second], most=10, seconds=30)
    await catalogue.release(blue, [first.version])  # whose task nobody wrote down
    after = await catalogue.attach(blue, [third], most=10, seconds=30)

    assert (one.anew, meanwhile.anew, after.anew) == ([first], [], [third])
    assert not await begins_write(catalogue, blue, first), "what the first may have submitted writes nothing"
    assert await begins_write(catalogue, blue, third)


async def test_a_submission_that_nobody_ends_is_over_in_time(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    await catalogue.attach(blue, [attachment("one")], most=10, seconds=-1)
    other = replace(attachment("one"), attributes={})

    assert (await catalogue.attach(blue, [other], most=10, seconds=30)).anew == [other]


async def test_an_ingestion_writes_while_it_is_in_progress_and_no_longer(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    (one,) = await submitted(catalogue, blue, attachment("one"))

    assert await begins_write(catalogue, blue, one, "write")
    assert await begins_write(catalogue, blue, one, "another"), "several at once"
    assert not await begins_write(catalogue, blue, attachment("one")), "as another version"
    assert not await begins_write(catalogue, blue, attachment("two")), "what is not attached"
    other = await ready(catalogue, "other")
    assert not await begins_write(catalogue, other, one), "in another collection"
    await ended(catalogue, blue, one)
    assert not await begins_write(catalogue, blue, one)


async def test_a_change_waits_for_what_is_written_and_keeps_others_out(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    (one,) = await submitted(catalogue, blue, attachment("one"))
    assert await begins_change(catalogue, blue, one) is ChangeRefused.UNDER_WAY, "in progress"
    assert await begins_write(catalogue, blue, one)
    await ended(catalogue, blue, one)

    assert await begins_change(catalogue, blue, one) is ChangeRefused.UNDER_WAY, "what is written comes yet"
    assert (await attaching(catalogue, blue, attachment("one"))).refused is AttachRefused.UNDER_WAY
    await catalogue.release(blue, ["write"])
    assert await begins_change(catalogue, blue, one) is None
    assert await begins_change(catalogue, blue, one) is None, "again by the same"
    assert await begins_change(catalogue, blue, one, "other") is ChangeRefused.UNDER_WAY
    assert (await attaching(catalogue, blue, attachment("one"))).refused is AttachRefused.UNDER_WAY

    assert await catalogue.detach(blue, one.mark)
    assert await begins_change(catalogue, blue, one, "other") is ChangeRefused.GONE
    assert (await attaching(catalogue, blue, attachment("one"))).refused is None


async def test_who_died_at_a_change_is_in_nobodys_way_for_long(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    (one,) = await submitted(catalogue, blue, attachment("one"))
    assert await catalogue.begin_write(blue, one.mark, claim="dead", seconds=-1)
    await ended(catalogue, blue, one)
    assert await catalogue.begin_change(blue, one.mark, claim="dead too", seconds=-1) is None

    assert await begins_change(catalogue, blue, one) is None


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

    other = FenceMark("one", new_id())
    assert not await catalogue.set_attributes(blue, other, {})
    assert await catalogue.set_attributes(blue, one.mark, {"year": 2027})
    assert (await catalogue.find_attachments(blue, ["one"]))[0].attributes == {"year": 2027}
    assert not await catalogue.detach(blue, other)
    assert await catalogue.detach(blue, one.mark)
    assert await listed(catalogue, blue) == []


async def test_what_a_store_has_goes_with_its_collection(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    await catalogue.describe(blue, title="Support", description=None, metadata=None, expiry=None)
    (one,) = await attached(catalogue, blue, attachment("one"))
    assert await begins_write(catalogue, blue, one)

    await catalogue.remove(blue)

    assert await catalogue.insert(blue)
    assert not await begins_write(catalogue, blue, one)
    assert (await attaching(catalogue, blue, attachment("one"))).refused is None, "nobody is at work in it"
    await catalogue.remove(blue)
    assert await catalogue.insert(blue)
    store = await catalogue.find_store(blue.tenant_id, "blue")
    assert store is not None
    assert (store.about, store.counts.total) == (None, 0)


def expiry(days: int, *, used_days_ago: float = 0) -> Expiry:
    return Expiry(days, datetime.now(UTC).replace(microsecond=0) - timedelta(days=used_days_ago), "ada")


async def expiring(catalogue: Catalogue, collection: Collection, one: Expiry) -> None:
    assert await catalogue.describe(collection, title=None, description=None, metadata=None, expiry=one)


async def test_a_store_is_used_until_it_has_expired(catalogue: Catalogue) -> None:
    blue, green, now = await ready(catalogue), await ready(catalogue, "green"), datetime.now(UTC)
    set_once = expiry(7, used_days_ago=6)
    await expiring(catalogue, blue, set_once)
    before = await catalogue.find_store(blue.tenant_id, "blue")

    assert await catalogue.touch(blue, now)
    assert await catalogue.touch(blue, now - timedelta(days=1)), "no use is taken back"
    assert await catalogue.describe(blue, title="Blue", description=None, metadata=None, expiry=None)
    assert await catalogue.touch(green, now), "which does not expire"

    after = await catalogue.find_store(blue.tenant_id, "blue")
    assert before is not None
    assert after is not None
    assert (before.expiry, before.is_over(now)) == (set_once, False)
    assert after.expiry is not None
    assert abs(after.expiry.active_at - now) < timedelta(seconds=1)
    assert not await catalogue.touch(blue, now + timedelta(days=7, seconds=1))
    assert [store.expiry is None for store in await catalogue.list_stores(blue.tenant_id, ALL) or []] == [False]


async def test_what_has_expired_is_retired_unless_it_is_used_or_an_alias_points_to_it(catalogue: Catalogue) -> None:
    tenant_id, now = new_id(), datetime.now(UTC)
    names = ("over", "used", "aliased", "stays", "later")
    over, used, aliased, _, later = [await ready(catalogue, name, tenant_id=tenant_id) for name in names]
    for one in (over, used, aliased):
        await expiring(catalogue, one, expiry(1, used_days_ago=3))
    await expiring(catalogue, later, expiry(3, used_days_ago=2))
    await catalogue.point_alias("now", aliased, version=new_id(), at=now, was=None, most=0)
    day = timedelta(days=1)

    async def listed_at(at: datetime, seen: datetime) -> list[Expired]:
        found = await catalogue.list_expired(at, seen=seen, limit=1000)
        return [one for one in found if one.collection.tenant_id == tenant_id]

    first, found = await listed_at(now, now - day), await listed_at(now + day, now)
    assert not await catalogue.retire_expired(over, now - day), "it was seen to be over only now"
    await expiring(catalogue, used, expiry(1))

    assert first == []
    assert {(one.collection.name, one.by) for one in found} == {("over", "ada"), ("used", "ada")}
    assert await catalogue.retire_expired(over, now)
    assert not any([await catalogue.retire_expired(one, now) for one in (used, aliased, later)])
    assert await catalogue.retire_expired(over, now), "again, where the first broke off"
    gone = await catalogue.find(tenant_id, "over")
    assert gone is not None
    assert gone.status is CollectionStatus.DELETING
    await catalogue.remove(gone)
    assert await listed_at(now + day, now) == []


async def test_a_store_that_was_used_in_the_moment_before_it_was_seen_to_be_over_stays(catalogue: Catalogue) -> None:
    """What is asked first may be done last: a search waits for the catalogue, or has another replica's clock."""
    blue = await ready(catalogue)
    await expiring(catalogue, blue, expiry(1, used_days_ago=1))  # ends now
    now = datetime.now(UTC)
    a_day_later = now + timedelta(days=1)

    async def is_listed(at: datetime, seen: datetime) -> bool:
        found = await catalogue.list_expired(at, seen=seen, limit=1000)
        return blue.id in [one.collection.id for one in found]

    assert not await is_listed(now, now - timedelta(days=1)), "it is seen to be over"
    assert await catalogue.touch(blue, now - timedelta(minutes=1))

    assert not await catalogue.retire_expired(blue, now)
    assert not await is_listed(now, now)
    assert await is_listed(a_day_later, a_day_later), "its new end is seen in its turn"
