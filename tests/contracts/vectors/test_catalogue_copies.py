"""Copies in the catalogue, here and on a node: one turn at a time, and no end while a change is not made good."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.vectors.copies.domain import Advance, Copy, CopyPhase, CopyRefused, Noted
from services.vectors.domain import Collection, CollectionStatus, Op
from services.vectors.ports import Catalogue
from services.vectors.terms import AllOf, Condition, HasTerm, NoneOf, NumberPast
from shared.schemas import new_id
from tests.contracts.vectors.conftest import a_collection
from tests.contracts.vectors.test_catalogue_aliases import made, ready

CONDITION = AllOf((NoneOf(HasTerm("b:a=True")), NumberPast("n", Op.GTE, 3.5)))


def target_of(source: Collection, name: str = "green") -> Collection:
    return replace(source, id=new_id(), name=name, status=CollectionStatus.FILLING)


async def begun(catalogue: Catalogue, alias: str | None = None) -> tuple[Collection, Collection]:
    source = await ready(catalogue)
    if alias:
        await made(catalogue, source, alias)
    target = target_of(source)
    copy = await catalogue.begin_copy(target, Copy(source.id, source.name, alias))
    assert isinstance(copy, Copy)
    assert (copy.source, copy.phase, copy.alias, copy.pending) == ("blue", CopyPhase.SCANNING, alias, 0)
    return source, target


async def noted(
    catalogue: Catalogue, source: Collection, *ids: str, condition: Condition | None = None, **fields: Any
) -> Noted:
    given = {"number": len(ids), "alias": None, "insists": False} | fields
    return await catalogue.note_change(source, ids, condition, **given)


async def follows(catalogue: Catalogue, target: Collection) -> str:
    """A turn of a copy whose scan has ended."""
    turn = new_id()
    assert await catalogue.take_turn(target, turn, 60)
    assert await catalogue.advance_copy(target, turn, Advance(CopyPhase.FOLLOWING, copied=5))
    assert await catalogue.take_turn(target, turn, 60)
    return turn


async def ended(
    catalogue: Catalogue, target: Collection, turn: str, *settled: int, alias: str | None = None
) -> CopyRefused | None:
    at = datetime.now(UTC)
    return await catalogue.end_copy(target, alias, turn=turn, settled=settled, count=5, version=new_id(), at=at)


async def test_one_copy_of_a_collection_into_a_name_that_is_free(catalogue: Catalogue) -> None:
    source, target = await begun(catalogue)
    wanted = Copy(source.id, source.name)

    listed = await catalogue.find(source.tenant_id, "green")
    assert listed == target
    assert isinstance(await catalogue.begin_copy(target, wanted), Copy), "it is found again"
    other, third = target_of(source, "other"), await ready(catalogue, "third", source)
    assert await catalogue.begin_copy(other, wanted) is CopyRefused.UNDER_WAY
    assert await catalogue.begin_copy(target_of(source, "green"), Copy(third.id, "third")) is CopyRefused.NAME_TAKEN
    assert await catalogue.begin_copy(other, Copy(third.id, "third", "none")) is CopyRefused.ALIAS_ELSEWHERE
    assert await catalogue.begin_copy(other, Copy(target.id, "green")) is CopyRefused.SOURCE_GONE
    foreign = replace(a_collection(), name="mine", status=CollectionStatus.FILLING)
    assert await catalogue.begin_copy(foreign, wanted) is CopyRefused.SOURCE_GONE


async def test_one_has_the_turn_until_it_is_given_back_or_over(catalogue: Catalogue) -> None:
    _, target = await begun(catalogue)
    copies = [await catalogue.take_turn(target, turn, 60) for turn in ("first", "second")]
    assert [copy and copy.turn for copy in copies] == ["first", "first"]

    assert await catalogue.advance_copy(target, "first", Advance(CopyPhase.SCANNING, "m", copied=3, samples=("a",)))
    copy = await catalogue.take_turn(target, "second", 0)
    assert copy
    assert (copy.turn, copy.after, copy.copied, copy.samples) == ("second", "m", 3, ("a",))
    copy = await catalogue.take_turn(target, "third", 60)
    assert copy
    assert copy.turn == "third"
    assert not await catalogue.advance_copy(target, "second", Advance(CopyPhase.ENDED, copied=9, written=("x",)))

    copy = await catalogue.find_copy(target)
    assert copy
    assert (copy.phase, copy.copied, copy.pending) == (CopyPhase.SCANNING, 3, 1)
    assert [change.record_id for change in await catalogue.list_changes(target, 10)] == ["x"], "it is looked at again"


async def test_a_change_noted_again_is_not_made_good_by_who_read_before(catalogue: Catalogue) -> None:
    source, target = await begun(catalogue)
    turn = await follows(catalogue, target)
    assert await noted(catalogue, source, "a", "b") is Noted.DONE
    read = await catalogue.list_changes(target, 10)
    assert await noted(catalogue, source, "a") is Noted.DONE

    done = Advance(CopyPhase.FOLLOWING, settled=tuple(change.seq for change in read))
    assert await catalogue.advance_copy(target, turn, done)

    assert [change.record_id for change in await catalogue.list_changes(target, 10)] == ["a"]


async def test_a_condition_is_kept_and_followed(catalogue: Catalogue) -> None:
    source, target = await begun(catalogue)
    turn = await follows(catalogue, target)
    await noted(catalogue, source, condition=CONDITION, number=2)
    (change,) = await catalogue.list_changes(target, 10)
    assert (change.condition, change.record_id, change.after) == (CONDITION, None, None)

    step = Advance(CopyPhase.FOLLOWING, unsure=("a",), named=change.seq, named_after="a", keeps_turn=True)
    assert await catalogue.advance_copy(target, turn, step)

    assert [(one.record_id, one.after) for one in await catalogue.list_changes(target, 10)] == [
        (None, "a"),
        ("a", None),
    ]
    copy = await catalogue.find_copy(target)
    assert copy
    assert (copy.turn, copy.noted, copy.pending) == (turn, 2, 2)


async def test_a_condition_that_is_noted_again_is_followed_from_its_beginning(catalogue: Catalogue) -> None:
    source, target = await begun(catalogue)
    turn = await follows(catalogue, target)
    await noted(catalogue, source, condition=CONDITION, number=2)
    (first,) = await catalogue.list_changes(target, 10)
    step = Advance(CopyPhase.FOLLOWING, named=first.seq, named_after="a", keeps_turn=True)
    assert await catalogue.advance_copy(target, turn, step)

    for _ in range(3):
        await noted(catalogue, source, condition=CONDITION, number=2)
    assert await catalogue.advance_copy(target, turn, Advance(CopyPhase.FOLLOWING, settled=(first.seq,)))

    (again,) = await catalogue.list_changes(target, 10)
    assert (again.condition, again.after) == (CONDITION, None)
    assert again.seq > first.seq


async def test_the_end_switches_the_alias_and_takes_nothing_unsettled(catalogue: Catalogue) -> None:
    source, target = await begun(catalogue, "current")
    assert await catalogue.claim_model(source, "e5") == "e5"
    turn = await follows(catalogue, target)
    await noted(catalogue, source, "a", alias="current")
    assert await ended(catalogue, target, turn, alias="current") is CopyRefused.REOPENED, "it was not closed"
    left = await catalogue.close_copy(target, turn)
    assert left is not None
    assert await noted(catalogue, source, "b", alias="current") is Noted.WAIT
    assert await ended(catalogue, target, turn, alias="current") is CopyRefused.REOPENED, "a change is left"
    assert await ended(catalogue, target, turn, left[0].seq, alias=None) is CopyRefused.ALIAS_ELSEWHERE

    for _ in range(2):  # its answer may be lost
        assert await ended(catalogue, target, turn, left[0].seq, alias="current") is None

    assert await catalogue.resolve(source.tenant_id, "current") == replace(
        target, status=CollectionStatus.READY, model="e5"
    )
    assert await noted(catalogue, source, "b", alias="current") is Noted.MOVED
    assert await noted(catalogue, source, "b") is Noted.DONE
    copy = await catalogue.find_copy(target)
    assert copy
    assert (copy.phase, copy.count, copy.pending) == (CopyPhase.ENDED, 5, 0)


async def test_who_has_waited_too_long_opens_the_copy_again(catalogue: Catalogue) -> None:
    source, target = await begun(catalogue)
    turn = await follows(catalogue, target)
    assert await catalogue.close_copy(target, turn) == []

    assert await noted(catalogue, source, "a", insists=True) is Noted.DONE

    assert await ended(catalogue, target, turn) is CopyRefused.REOPENED
    assert [change.record_id for change in await catalogue.list_changes(target, 10)] == ["a"]


async def test_who_takes_the_turn_after_one_that_was_closing_follows(catalogue: Catalogue) -> None:
    source, target = await begun(catalogue)
    turn = await follows(catalogue, target)
    await catalogue.advance_copy(target, turn, Advance(CopyPhase.FOLLOWING))
    await catalogue.take_turn(target, turn, 0)
    await catalogue.close_copy(target, turn)

    copy = await catalogue.take_turn(target, "next", 60)

    assert copy
    assert (copy.phase, copy.turn) == (CopyPhase.FOLLOWING, "next")
    assert await catalogue.close_copy(target, turn) is None
    assert await noted(catalogue, source, "a") is Noted.DONE


async def test_a_copy_goes_with_either_of_its_collections(catalogue: Catalogue) -> None:
    source, target = await begun(catalogue)
    await noted(catalogue, source, "a")

    assert await catalogue.retire(target) is None
    assert await catalogue.find_copy(target) is None
    await catalogue.remove(target)
    again = target_of(source)
    assert isinstance(await catalogue.begin_copy(again, Copy(source.id, source.name)), Copy)
    assert await catalogue.list_changes(again, 10) == []
    assert await catalogue.retire(source) is None
    assert await catalogue.take_turn(again, "first", 60) is None


async def test_a_write_by_an_alias_that_was_switched_by_hand_has_moved(catalogue: Catalogue) -> None:
    blue = await ready(catalogue)
    green = await ready(catalogue, "green", blue)
    await made(catalogue, blue)
    assert await noted(catalogue, blue, "a", alias="current") is Noted.DONE
    await made(catalogue, green)

    assert await noted(catalogue, blue, "a", alias="current") is Noted.MOVED
    assert await noted(catalogue, blue, "a", alias="gone") is Noted.DONE, "it ends where it began"


async def test_what_has_moved_is_noted_where_it_was_made(catalogue: Catalogue) -> None:
    """The alias was switched by hand, away from a collection that is being copied."""
    source, target = await begun(catalogue, "current")
    await made(catalogue, await ready(catalogue, "third", source))

    assert await noted(catalogue, source, "a", alias="current") is Noted.MOVED

    assert [change.record_id for change in await catalogue.list_changes(target, 10)] == ["a"]
