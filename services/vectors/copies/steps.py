"""The steps of a copy, each by whoever has the turn: a page of the scan, changes that are made good, the end."""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from services.vectors.copies.domain import Advance, Change, Copy, CopyPhase, CopyRefused, ids, seqs
from services.vectors.copies.errors import CopyAliasElsewhere, CopyBusy, CopyDiffers, CopyOutrun, CopyRecallLow
from services.vectors.copies.schemas import CopyStep
from services.vectors.copies.transfer import Place, Transfer
from services.vectors.copies.verifying import SAMPLES, agreed_count, recall
from services.vectors.errors import CollectionLost, CollectionMissing, CollectionNotFound, UnsupportedCapability
from services.vectors.events import Done
from services.vectors.ports import Catalogue
from shared.identity import Caller, Tells
from shared.schemas import new_id

_PAGE: Final = 256
_TEXTS: Final = 16  # of a page that is embedded
_CHANGES: Final = 1000  # made good by a step
_FEW: Final = 256  # of them, which are made good in a moment: writers wait for it
_FEW_TEXTS: Final = 4
_NAMED: Final = 1000  # records that meet the condition of a deletion, by a step
_MOST_ROUNDS: Final = 2
_PATIENCE: Final = 16  # steps behind its writers, beside twice as many as what is noted when it begins to follow takes
_CLOSED_SECONDS: Final = 4.0  # that writers wait while changes are made good: less than they do by themselves
_SETTLED_AT_ONCE: Final = 64
_MOST_CLOSED: Final = 30  # times that writers are made to wait so, before a copy is given up


@dataclass(frozen=True, slots=True)
class Step:
    """What a step works with: by whose turn, from where to where, and what is asked of the copy."""

    caller: Caller
    turn: str
    copy: Copy
    transfer: Transfer
    asked: CopyStep

    @property
    def source(self) -> Place:
        return self.transfer.source

    @property
    def target(self) -> Place:
        return self.transfer.target

    @property
    def page(self) -> int:
        return _TEXTS if self.copy.embeds else _PAGE

    @property
    def changes(self) -> int:
        return _TEXTS if self.copy.embeds else _CHANGES

    @property
    def few(self) -> int:
        return _FEW_TEXTS if self.copy.embeds else _FEW

    @property
    def at_once(self) -> int:
        return _FEW_TEXTS if self.copy.embeds else _SETTLED_AT_ONCE

    @property
    def patience(self) -> int:
        """As `Copy.patience`; as it is in the beginning where it was not yet asked for."""
        if self.copy.patience is not None:
            return self.copy.patience
        return _PATIENCE + 2 * self.copy.pending // self.changes


class Steps:
    """Built once. Each step ends its turn by telling the catalogue what it did; one that raises does not."""

    def __init__(self, catalogue: Catalogue, auth: Tells) -> None:
        self._catalogue, self._auth = catalogue, auth

    async def do(self, step: Step) -> None:
        """The next one. Raises as `CopyService.step`, CopyBusy where the turn was lost."""
        try:
            match step.copy.phase:
                case CopyPhase.SCANNING:
                    await self._scan(step)
                case CopyPhase.SWEEPING:
                    await self._sweep(step)
                case _:
                    await self._follow(step)
        except CollectionMissing as error:
            for place in (step.target, step.source):
                if not await place.engine.holds(place.collection):
                    raise CollectionLost(place.collection.name, place.collection.engine.component) from error
            raise CollectionNotFound(step.asked.target) from error

    async def _scan(self, step: Step) -> None:
        """A page of the source goes into the target; what is noted meanwhile is made good when the scan has ended."""
        records, has_more = await step.source.page(step.copy.after, step.page, with_vectors=not step.copy.embeds)
        await step.transfer.put(records)
        found = [record.id for record in records]
        advance = Advance(
            CopyPhase.SCANNING if has_more else CopyPhase.FOLLOWING,
            found[-1] if has_more else None,
            copied=len(found),
            written=tuple(found),
            samples=_sampled(step.copy, found),
        )
        await self._advance(step, advance)

    async def _sweep(self, step: Step) -> None:
        """Which records of a page of the target the source has not; then the source is gone through once more."""
        records, has_more = await step.target.page(step.copy.after, step.page)
        found = [record.id for record in records]
        there = await step.source.find(found)
        gone = tuple(one for one in found if one not in there)
        phase, after = (CopyPhase.SWEEPING, found[-1]) if has_more else (CopyPhase.SCANNING, None)
        await self._advance(step, Advance(phase, after, unsure=gone))

    async def _follow(self, step: Step) -> None:
        """Make good what was written meanwhile. If that never becomes few, writers are made to wait for the rest."""
        is_waited_for = step.patience <= 0
        changes = [] if is_waited_for else await self._catalogue.list_changes(step.target.collection, step.changes)
        if len(changes) > step.few or _have_conditions(changes):
            await self._make_good(step, changes)
        elif step.copy.count is None:
            await self._verify(step, changes, source_changes=is_waited_for)
        else:
            await self._end(step, at_any_number=is_waited_for)

    async def _make_good(self, step: Step, changes: Sequence[Change]) -> None:
        if _have_conditions(changes):
            await self._name(step, changes)
            return
        await step.transfer.settle(ids(changes))
        await self._advance(step, replace(_settled(changes), patience=step.patience - 1))

    async def _name(self, step: Step, changes: Sequence[Change]) -> None:
        """Of records that were deleted by conditions those that the target still has are looked at one by one."""
        unsure, settled = list[str](), list[int]()
        for change in changes:
            if change.condition is None:
                continue
            try:
                records, has_more = await step.target.page(change.after, _NAMED, change.condition)
            except UnsupportedCapability:  # a filter that the engine of the source took: then all are looked at
                await self._advance(step, Advance(CopyPhase.SWEEPING, settled=(change.seq,)))
                return
            unsure += [record.id for record in records]
            if has_more:
                named = Advance(CopyPhase.FOLLOWING, named=change.seq, named_after=unsure[-1])
                await self._advance(step, replace(named, **self._found(step, unsure, settled)))
                return
            settled.append(change.seq)
        await self._advance(step, Advance(CopyPhase.FOLLOWING, **self._found(step, unsure, settled)))

    def _found(self, step: Step, unsure: Sequence[str], settled: Sequence[int]) -> dict[str, Any]:
        """What was found by conditions is work of its own, and no lagging behind."""
        patience = step.patience - 1 + 2 * len(unsure) // step.changes
        return {"unsure": tuple(unsure), "settled": tuple(settled), "patience": patience}

    async def _verify(self, step: Step, changes: Sequence[Change], *, source_changes: bool) -> None:
        """When the few `changes` are made good, or what is written is never few."""
        target = step.target.collection
        if changes:
            await step.transfer.settle(ids(changes))
            await self._advance(step, _settled(changes, keeps_turn=True))

        async def look() -> Copy:
            copy = await self._catalogue.find_copy(target)
            if copy is None:
                raise CollectionNotFound(target.name)
            return copy

        count = await agreed_count(step.source, step.target, look)
        if count is None:
            if step.copy.rounds >= _MOST_ROUNDS:
                raise CopyDiffers(step.source.collection.name, target.name)
            await self._advance(step, Advance(CopyPhase.SWEEPING, rounds=1))
            return
        samples = step.copy.samples[: step.asked.samples]
        found = await recall(step.source, step.target, samples, embeds=step.copy.embeds, source_changes=source_changes)
        if found < step.asked.recall:
            raise CopyRecallLow(target.name, found, step.asked.recall)
        await self._advance(step, Advance(CopyPhase.FOLLOWING, count=count, recall=found))

    async def _end(self, step: Step, *, at_any_number: bool) -> None:
        """No change is noted from here on; those left are made good, and the alias is switched, while writers wait.

        Those left are to be few, or as many as can be made good while writers wait. Raises CopyOutrun when that was
        tried again and again.
        """
        target = step.target.collection
        left = await self._catalogue.close_copy(target, step.turn)
        if left is None:
            raise CopyBusy(target.name)
        if not at_any_number and (len(left) > step.few or _have_conditions(left)):
            await self._advance(step, Advance(CopyPhase.FOLLOWING, patience=step.patience - 1))
            return
        try:
            done = await self._settle_in_time(step, left)
        except UnsupportedCapability:  # as in `_name`
            conditions = tuple(change.seq for change in left if change.condition is not None)
            await self._advance(step, Advance(CopyPhase.SWEEPING, settled=conditions))
            return
        if len(done) < len(left):
            await self._again(step, done)
        else:
            await self._switch(step, left)

    async def _again(self, step: Step, done: Sequence[Change]) -> None:
        """Later, though `done` was made good now. Raises CopyOutrun."""
        if step.patience <= -_MOST_CLOSED:
            raise CopyOutrun(step.source.collection.name)
        await self._advance(step, replace(_settled(done), patience=step.patience - 1))

    async def _settle_in_time(self, step: Step, left: Sequence[Change]) -> list[Change]:
        """Those of `left` that could be made good while writers wait. Raises UnsupportedCapability."""
        until, done = time.monotonic() + _CLOSED_SECONDS, list[Change]()
        for some in _portions(left, step.at_once):
            if time.monotonic() >= until or not await self._settle(step, some, until):
                break
            done += some
        return done

    async def _settle(self, step: Step, some: Sequence[Change], until: float) -> bool:
        """One condition, or some records. Whether that was all of it."""
        condition, after = some[0].condition, some[0].after
        if condition is None:
            await step.transfer.settle(ids(some))
            return True
        has_more = True
        while has_more and time.monotonic() < until:
            records, has_more = await step.target.page(after, _NAMED, condition)
            found = [record.id for record in records]
            await step.transfer.settle(found)
            after = found[-1] if found else after
        return not has_more

    async def _switch(self, step: Step, left: Sequence[Change]) -> None:
        """The end, when all that is `left` was made good."""
        target = step.target.collection
        count = await step.target.engine.count(target)
        version, at, alias = new_id(), datetime.now(UTC), step.copy.alias
        refused = await self._catalogue.end_copy(
            target, alias, turn=step.turn, settled=seqs(left), count=count, version=version, at=at
        )
        if refused is CopyRefused.REOPENED:
            await self._again(step, left)
        elif refused is CopyRefused.SOURCE_GONE:
            raise CollectionNotFound(step.source.collection.name)
        elif refused is not None:
            raise CopyAliasElsewhere(alias or "", step.source.collection.name)
        elif alias:
            self._auth.tell(step.caller, Done.ALIAS_SWITCHED, alias, once=version, collection_id=target.id)

    async def _advance(self, step: Step, advance: Advance) -> None:
        await self._catalogue.advance_copy(step.target.collection, step.turn, advance)


def _have_conditions(changes: Sequence[Change]) -> bool:
    return any(change.condition is not None for change in changes)


def _portions(changes: Sequence[Change], size: int) -> Iterator[list[Change]]:
    """Each condition by itself, and `size` of what names records."""
    named = [change for change in changes if change.condition is None]
    yield from ([change] for change in changes if change.condition is not None)
    yield from (named[start : start + size] for start in range(0, len(named), size))


def _settled(changes: Sequence[Change], *, keeps_turn: bool = False) -> Advance:
    """After these were made good."""
    return Advance(
        CopyPhase.FOLLOWING,
        copied=len(changes),
        settled=seqs(changes),
        written=tuple(ids(changes)),
        keeps_turn=keeps_turn,
    )


def _sampled(copy: Copy, found: Sequence[str]) -> tuple[str, ...]:
    """Algorithm R (Vitter, "Random Sampling with a Reservoir"): each record of the scan is as likely as any other."""
    samples = list(copy.samples)
    for number, record_id in enumerate(found, start=copy.copied + 1):
        if len(samples) < SAMPLES:
            samples.append(record_id)
        elif (at := random.randrange(number)) < SAMPLES:
            samples[at] = record_id
    return tuple(samples)
