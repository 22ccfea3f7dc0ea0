"""What every change of a collection is followed by, before it is acknowledged: a copy of it hears of it."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final

from services.vectors.collections.domain import Named
from services.vectors.copies.domain import Noted
from services.vectors.domain import Collection
from services.vectors.ports import Catalogue
from services.vectors.terms import Condition
from shared.errors import ServiceError

_HELD_SECONDS: Final = 5.0  # by a copy that is about to end; then it is overtaken, and ends later
_LOOK_SECONDS: Final = 0.02


class Journal:
    """Built once. The catalogue judges: nothing of it is remembered here, so every replica sees the same."""

    def __init__(self, catalogue: Catalogue, held_seconds: float = _HELD_SECONDS) -> None:
        self._catalogue = catalogue
        self._held_seconds = held_seconds

    async def has_moved(
        self,
        named: Named,
        collection: Collection,
        ids: Sequence[str],
        condition: Condition | None = None,
        *,
        number: int,
    ) -> bool:
        """After `number` records were changed, those of `ids` or those that met `condition`.

        Whether the alias they were asked for by points elsewhere since: then the change is to be made there, too.
        """
        alias = None if named.name == collection.name else named.name
        held_until = time.monotonic() + self._held_seconds
        while True:
            noted = await self._catalogue.note_change(
                collection, ids, condition, number=number, alias=alias, insists=time.monotonic() >= held_until
            )
            if noted is not Noted.WAIT:
                return noted is Noted.MOVED
            await asyncio.sleep(_LOOK_SECONDS)

    async def may_have_changed(
        self, collection: Collection, ids: Sequence[str], condition: Condition | None = None
    ) -> None:
        """After a change failed, so that nobody knows what of it is there: as far as that can be told now."""
        with contextlib.suppress(ServiceError):
            await self._catalogue.note_change(collection, ids, condition, number=len(ids), alias=None, insists=True)
