"""The steps of a copy, each by whoever has the turn: a page of the scan, changes that are made good, the end."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from services.vectors.copies.domain import Advance, Change, Copy, CopyPhase, CopyRefused, ids, seqs
from services.vectors.copies.errors import CopyAliasElsewhere, CopyBusy, CopyDiffers, CopyRecallLow
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
        changes = await self._catalogue.list_changes(step.target.collection, step.changes)
        if len(changes) > step.few or any(change.condition for change in changes):
            await self._make_good(step, changes)
        elif step.copy.count is None:
            await self._verify(step, changes)
        else:
            await self._end(step)

    async def _make_good(self, step: Step, changes: Sequence[Change]) -> None:
        if any(change.condition for change in changes):
            await self._name(step, changes)
            return
        await step.transfer.settle(ids(changes))
        await self._advance(step, _settled(changes))

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
                await self._advance(step, replace(named, unsure=tuple(unsure), settled=tuple(settled)))
                return
            settled.append(change.seq)
        await self._advance(step, Advance(CopyPhase.FOLLOWING, unsure=tuple(unsure), settled=tuple(settled)))

    async def _verify(self, step: Step, changes: Sequence[Change]) -> None:
        """When the few `changes` are made good."""
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
        found = await recall(step.source, step.target, samples, embeds=step.copy.embeds)
        if found < step.asked.recall:
            raise CopyRecallLow(target.name, found, step.asked.recall)
        await self._advance(step, Advance(CopyPhase.FOLLOWING, count=count, recall=found))

    async def _end(self, step: Step) -> None:
        """No change is noted from here on; those left are made good, and the alias is switched, while writers wait."""
        target = step.target.collection
        left = await self._catalogue.close_copy(target, step.turn)
        if left is None:
            raise CopyBusy(target.name)
        if len(left) > step.few or any(change.condition for change in left):
            await self._advance(step, Advance(CopyPhase.FOLLOWING))
            return
        await step.transfer.settle(ids(left))
        count = await step.target.engine.count(target)
        version, at, alias = new_id(), datetime.now(UTC), step.copy.alias
        refused = await self._catalogue.end_copy(
            target, alias, turn=step.turn, settled=seqs(left), count=count, version=version, at=at
        )
        if refused is CopyRefused.REOPENED:
            await self._advance(step, Advance(CopyPhase.FOLLOWING, written=tuple(ids(left))))
        elif refused is CopyRefused.SOURCE_GONE:
            raise CollectionNotFound(step.source.collection.name)
        elif refused is not None:
            raise CopyAliasElsewhere(alias or "", step.source.collection.name)
        elif alias:
            self._auth.tell(step.caller, Done.ALIAS_SWITCHED, alias, once=version, collection_id=target.id)

    async def _advance(self, step: Step, advance: Advance) -> None:
        await self._catalogue.advance_copy(step.target.collection, step.turn, advance)


def _settled(changes: Sequence[Change], *, keeps_turn: bool = False) -> Advance:
    """After these, of which each names a record, were made good."""
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
