"""Keeps apart what is done to an attached file: the writes of its ingestion, and whoever detaches or changes it.

An ingestion says as what it writes (`FenceMark`); that is looked at in the moment before each write, and held until it
is done. Whoever changes the file waits for the writes under way and lets none begin: so what comes late, from a worker
that was given up or for a caller that has left, finds nothing that it may write to.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from services.vectors.domain import Collection
from services.vectors.ports import Catalogue
from services.vectors.stores.domain import ChangeRefused, FenceMark
from services.vectors.stores.errors import AttachmentChanged, AttachmentNotFound, AttachmentUnderWay
from shared.errors import StorageFull, Unavailable, UpstreamTimeout
from shared.schemas import new_id

_WRITING_SECONDS: Final = 60.0  # longer than an engine is waited for
_CHANGING_SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 0.05
_NOT_WAITED_FOR: Final = (UpstreamTimeout, asyncio.CancelledError)
_MAY_BE_WRITTEN: Final = (*_NOT_WAITED_FOR, Unavailable)  # as by an engine that loses the connection and goes on


class Fence:
    """Built once. What nobody has seen the end of, as a write that an engine may still do, is held until its time."""

    def __init__(self, catalogue: Catalogue, patience_seconds: float = 10.0) -> None:
        self._catalogue, self._patience_seconds = catalogue, patience_seconds

    @asynccontextmanager
    async def writing(self, collection: Collection, mark: FenceMark | None) -> AsyncIterator[None]:
        """As an ingestion; of what is none (None) nothing is asked. Raises AttachmentChanged."""
        if mark is None:
            yield
            return
        claim = new_id()
        if not await self._catalogue.begin_write(collection, mark, claim=claim, seconds=_WRITING_SECONDS):
            raise AttachmentChanged(mark.file_id)
        async with self._held(collection, claim, _MAY_BE_WRITTEN):
            yield

    @asynccontextmanager
    async def changing(self, collection: Collection, mark: FenceMark) -> AsyncIterator["Changing"]:
        """Alone, once writes under way are done. Raises AttachmentNotFound, and AttachmentUnderWay for longer ones."""
        changing = Changing(self._catalogue, collection, mark)
        until = asyncio.get_running_loop().time() + self._patience_seconds
        while refused := await changing.begin():
            if refused is ChangeRefused.GONE or asyncio.get_running_loop().time() >= until:
                raise await changing.told(refused)
            await asyncio.sleep(_LOOK_SECONDS)
        async with self._held(collection, changing.claim):
            yield changing

    @asynccontextmanager
    async def _held(
        self, collection: Collection, claim: str, unseen: tuple[type[BaseException], ...] = _NOT_WAITED_FOR
    ) -> AsyncIterator[None]:
        try:
            yield
        except BaseException as error:
            if isinstance(error, StorageFull) or not isinstance(error, unseen):
                await self._catalogue.release(collection, [claim])
            raise  # what is `unseen` was under way, and may still be done
        await self._catalogue.release(collection, [claim])


class Changing:
    """One change under way."""

    def __init__(self, catalogue: Catalogue, collection: Collection, mark: FenceMark) -> None:
        self._catalogue, self._collection, self._mark = catalogue, collection, mark
        self.claim = new_id()

    async def begin(self) -> ChangeRefused | None:
        return await self._catalogue.begin_change(
            self._collection, self._mark, claim=self.claim, seconds=_CHANGING_SECONDS
        )

    async def go_on(self) -> None:
        """Have it alone for longer. Raises AttachmentNotFound, AttachmentUnderWay where its time was over."""
        if refused := await self.begin():
            raise await self.told(refused)

    async def told(self, refused: ChangeRefused) -> AttachmentNotFound | AttachmentUnderWay:
        """What is to be said of it: the file may be gone, or be attached anew."""
        file_id = self._mark.file_id
        is_there = refused is not ChangeRefused.GONE or await self._catalogue.find_attachments(
            self._collection, [file_id]
        )
        return AttachmentUnderWay(file_id) if is_there else AttachmentNotFound(self._collection.name, file_id)
