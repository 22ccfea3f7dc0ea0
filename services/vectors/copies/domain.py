"""A copy that is under way: how far it is, and what has changed behind its back."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.vectors.terms import Condition
from shared.words import Word


class CopyPhase(Word):
    """What the next step does.

    scanning: goes through the source, page by page. sweeping: looks in the target for what the source no longer has.
    following: makes good what was written meanwhile, looks whether both are alike, and then ends it. closing: for the
    moment of the end, in which no change is noted. ended: the target is a collection like any other.
    """

    SCANNING = "scanning"
    SWEEPING = "sweeping"
    FOLLOWING = "following"
    CLOSING = "closing"
    ENDED = "ended"


class CopyRefused(Word):
    """Why a copy is not begun, or does not end."""

    NAME_TAKEN = "name_taken"
    SOURCE_GONE = "source_gone"  # or not ready
    UNDER_WAY = "under_way"  # another copy of the source
    ALIAS_ELSEWHERE = "alias_elsewhere"  # it does not point to the source
    REOPENED = "reopened"  # by who waited too long to write; there are changes again, or another has the turn


class Noted(Word):
    """What becomes of a change that was made just now."""

    DONE = "done"  # it may be acknowledged: nobody follows the collection, or who does will see it
    WAIT = "wait"  # a copy is about to end: in a moment the answer is another
    MOVED = "moved"  # the alias it was made by points elsewhere now: it is to be made there


@dataclass(frozen=True, slots=True)
class Copy:
    """Of one collection into another, whose id is the copy's."""

    source_id: str
    source: str
    """Its name."""
    alias: str | None = None
    """What is to point to the target when it has all, and points to the source till then."""
    embeds: bool = False
    """Whether vectors are made anew, of texts, in place of being copied."""
    phase: CopyPhase = CopyPhase.SCANNING
    after: str | None = None
    """The record after which the scan goes on, or the sweep."""
    copied: int = 0
    noted: int = 0
    """Changes noted since it began, those of one record counted each."""
    pending: int = 0
    """Of them those that are not made good yet, those of one record counted once."""
    rounds: int = 0
    """How often it began anew, because both were not alike."""
    samples: tuple[str, ...] = ()
    """Ids of some records, each of the source as likely as any other."""
    count: int | None = None
    """Of records of the target, when both were found alike, and then when it ended; None before."""
    recall: float | None = None
    turn: str | None = None
    """Who may write to the target at the moment."""
    patience: int | None = None
    """Steps that it may still lag behind its writers for; from 0 on they wait for it. None before it follows them."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be looked at again: a record, or whatever meets the condition of a deletion."""

    seq: int
    record_id: str | None
    condition: Condition | None
    after: str | None
    """The record after which those that meet the condition are still to be named."""


@dataclass(frozen=True, slots=True)
class Advance:
    """What a step has done, which ends its turn unless it says that it goes on."""

    phase: CopyPhase
    after: str | None = None
    copied: int = 0
    settled: tuple[int, ...] = ()
    """Changes that were made good; one noted again since is another."""
    written: tuple[str, ...] = ()
    """Records that it wrote to the target: if the turn was no longer its own, they are to be looked at again."""
    unsure: tuple[str, ...] = ()
    """Records that are to be looked at again in any case."""
    named: int | None = None
    """The change whose condition has been followed up to `named_after`."""
    named_after: str | None = None
    samples: tuple[str, ...] | None = None
    rounds: int = 0
    count: int | None = None
    recall: float | None = None
    keeps_turn: bool = False
    """Whether the step goes on."""
    patience: int | None = None
    """What is left of it; a copy that goes through the source again has it anew."""


def seqs(changes: Sequence[Change]) -> tuple[int, ...]:
    return tuple(change.seq for change in changes)


def ids(changes: Sequence[Change]) -> list[str]:
    """Of those that name a record."""
    return [change.record_id for change in changes if change.record_id is not None]
