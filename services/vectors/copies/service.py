"""The use cases of a copy: beginning it, and going one step further until it has ended.

Why nothing is lost: whoever changes a record of the source has it noted, after the change and before acknowledging it.
One step at a time writes to the target. So what the scan read too early, or a step did, is noted after it was read, and
made good by a step that reads it again. The end is one change of the catalogue, for which no change may be left; who
has changed the source and not noted it by then is told that the alias has moved, and changes the target as well.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.copies.domain import Advance, Copy, CopyPhase, CopyRefused
from services.vectors.copies.errors import CopyAliasElsewhere, CopyBusy, CopyNeedsModel, CopyUnderWay
from services.vectors.copies.schemas import CopyBegin, CopyStep
from services.vectors.copies.steps import Step, Steps
from services.vectors.copies.transfer import Place, Transfer
from services.vectors.domain import READ, Collection, CollectionStatus
from services.vectors.errors import CollectionExists, CollectionNotFound, QuotaExceeded, UnknownModel
from services.vectors.events import Done
from services.vectors.ports import Catalogue, Embedder
from services.vectors.usage.service import UsageService
from shared.errors import ServiceError, UpstreamTimeout
from shared.identity import Caller, Tells
from shared.schemas import new_id

_STEP_SECONDS: Final = 40.0
_TURN_SECONDS: Final = 50.0  # of a step that was broken off: longer than any call of its may last


@dataclass(frozen=True, slots=True)
class Begun:
    """`total`: records of the source as it began."""

    copy: Copy
    total: int


class CopyService:
    """Built once. What it knows of a copy is in the catalogue, so any replica does the next step."""

    def __init__(
        self,
        catalogue: Catalogue,
        collections: CollectionService,
        embedder: Embedder,
        auth: Tells,
        usage: UsageService,
        turn_seconds: float = _TURN_SECONDS,
    ) -> None:
        self._catalogue, self._collections, self._embedder = catalogue, collections, embedder
        self._auth, self._usage, self._turn_seconds = auth, usage, turn_seconds
        self._steps = Steps(catalogue, auth)

    async def begin(self, caller: Caller, body: CopyBegin) -> Begun:
        """Begin it, or find what was begun under its id.

        Raises CollectionNotFound for the source, CollectionExists for the target, QuotaExceeded, CopyUnderWay,
        CopyAliasElsewhere, CopyNeedsModel, UnknownModel.
        """
        caller.require(READ)
        source = await self._collections.look_up(caller, Named.to_read(body.source))
        target = await self._catalogue.find(caller.tenant_id, body.target)
        if target is None or target.id != body.id:
            target = self._wanted(caller, body, source)
            await self._require_room(caller)
        wanted = Copy(source.id, source.name, alias=body.alias, embeds=body.model is not None)
        copy = await self._catalogue.begin_copy(target, wanted)
        if isinstance(copy, CopyRefused):
            raise self._refusal(copy, target, wanted)
        if copy.phase is not CopyPhase.ENDED:
            await self._place(target).engine.create_collection(target)
            self._auth.tell(caller, Done.CREATED, target.name, once=target.id, collection_id=target.id)
        place = self._place(source)
        return Begun(copy, await place.engine.count(place.collection))

    async def _require_room(self, caller: Caller) -> None:
        most = self._usage.quotas.collections
        if 0 < most <= await self._catalogue.count(caller.tenant_id):
            raise QuotaExceeded("collections", most)

    def _wanted(self, caller: Caller, body: CopyBegin, source: Collection) -> Collection:
        if body.model not in (None, self._embedder.model):
            raise UnknownModel(body.model or "", self._embedder.model)
        if body.model is None and body.metric not in (None, source.metric):
            raise CopyNeedsModel(at=("/metric", "model_missing"))
        return Collection(
            id=body.id,
            tenant_id=caller.tenant_id,
            name=body.target,
            engine=body.engine or source.engine,
            dimension=self._embedder.dimension if body.model else source.dimension,
            metric=body.metric or source.metric,
            created_at=datetime.now(UTC),
            status=CollectionStatus.FILLING,
            model=body.model,
        )

    def _refusal(self, reason: CopyRefused, target: Collection, copy: Copy) -> ServiceError:
        match reason:
            case CopyRefused.NAME_TAKEN:
                return CollectionExists(target.name)
            case CopyRefused.UNDER_WAY:
                return CopyUnderWay(copy.source)
            case CopyRefused.ALIAS_ELSEWHERE:
                return CopyAliasElsewhere(copy.alias or "", copy.source)
            case _:
                return CollectionNotFound(copy.source)

    def _place(self, collection: Collection) -> Place:
        return Place(self._collections.engine_of(collection), collection)

    async def step(self, caller: Caller, body: CopyStep) -> Copy:
        """Do the next step; the copy as it is then. May be repeated, and asked by several at once: one does it.

        Raises CopyBusy, CollectionNotFound for a source or target that is gone, CopyTextMissing, CopyDiffers,
        CopyRecallLow, CopyAliasElsewhere, QuotaExceeded, CollectionFull, and what engines and models do.
        """
        caller.require(READ)
        target = await self._target(caller, body)
        turn = new_id()
        copy = await self._catalogue.take_turn(target, turn, self._turn_seconds)
        if copy is None:
            raise CollectionNotFound(body.target)
        if copy.phase is CopyPhase.ENDED:
            return copy
        if copy.turn != turn:
            raise CopyBusy(body.target)
        transfer = await self._transfer(caller, copy, target)
        try:
            async with asyncio.timeout(_STEP_SECONDS):
                await self._steps.do(Step(caller, turn, copy, transfer, body))
        except ServiceError:
            if not transfer.is_writing:  # else what was sent to the engine may still arrive, for as long as a turn
                await self._catalogue.advance_copy(target, turn, Advance(copy.phase, copy.after))
            raise
        except TimeoutError as error:
            raise UpstreamTimeout("vectors") from error
        return await self._catalogue.find_copy(target) or copy

    async def _target(self, caller: Caller, body: CopyStep) -> Collection:
        found = await self._catalogue.find(caller.tenant_id, body.target)
        if found is None or found.id != body.id:
            raise CollectionNotFound(body.target)
        return found

    async def _transfer(self, caller: Caller, copy: Copy, target: Collection) -> Transfer:
        source = await self._catalogue.find(caller.tenant_id, copy.source)
        if source is None or source.id != copy.source_id:
            raise CollectionNotFound(copy.source)
        if copy.embeds and target.model != self._embedder.model:
            raise UnknownModel(target.model or "", self._embedder.model)  # it is another here than when it was begun
        embedder = self._embedder if copy.embeds else None
        return Transfer(self._place(source), self._place(target), embedder, self._usage, caller)
