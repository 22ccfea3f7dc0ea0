"""The use cases around the files of a store: attaching, reading, listing and detaching them.

A file is written down as attached before its ingestion is submitted, and with it the key of that: so a process that
dies in between has lost nothing that a repetition does not find, and nothing is ingested of which nobody knows.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, TypeVar

from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.domain import WRITE, Collection
from services.vectors.errors import CollectionNotFound
from services.vectors.files.domain import StoredFile
from services.vectors.files.service import FileService
from services.vectors.ports import Catalogue, Embedder
from services.vectors.records.schemas import DeleteRequest
from services.vectors.records.service import RecordService
from services.vectors.stores.attachment_schemas import FileAttach, chunking_of
from services.vectors.stores.domain import (
    MAX_ATTACHED,
    Attachment,
    AttachmentStatus,
    AttachRefused,
    Batch,
    Outcome,
    Span,
)
from services.vectors.stores.errors import (
    AttachmentNotFound,
    AttachmentUnderWay,
    BatchNotFound,
    ChunksTooLarge,
    PlaceUnknown,
    TooManyFiles,
)
from services.vectors.stores.following import Following
from services.vectors.stores.ports import Ingestions
from shared.door import Once
from shared.errors import Relayed, Unavailable
from shared.identity import Caller
from shared.schemas import new_id

SUBMITS: Final = "tasks:write"
_STOPPING_SECONDS, _LOOK_SECONDS = 10.0, 0.25
_AT_ONCE: Final = 8
_NOT_FOUND: Final = 404
Item = TypeVar("Item")
Result = TypeVar("Result")


class AttachmentService:
    """Built once. Every method raises CollectionNotFound for a store that is not there."""

    def __init__(
        self,
        catalogue: Catalogue,
        collections: CollectionService,
        files: FileService,
        records: RecordService,
        ingestions: Ingestions,
        following: Following,
        embedder: Embedder,
    ) -> None:
        self._catalogue, self._collections, self._files = catalogue, collections, files
        self._records, self._ingestions, self._following = records, ingestions, following
        self._embedder = embedder

    async def require(self, caller: Caller, wanted: Sequence[FileAttach], pointer: str) -> list[StoredFile]:
        """The files, whole. Raises MissingScope, FileNotFound, FileUnfinished, and ChunksTooLarge at `pointer`."""
        for scope in ("vectors:read", SUBMITS):
            caller.require(scope)
        for one in wanted:
            most = chunking_of(one.chunking_strategy).most_tokens
            if most is not None and most > self._embedder.window_tokens:
                raise ChunksTooLarge(pointer, most, self._embedder.window_tokens)
        return await _each(wanted, lambda one: self._files.get_whole(caller, one.file_id))

    async def attach(self, caller: Caller, name: str, wanted: FileAttach, once: Once | None) -> Attachment:
        """The file, whose ingestion is submitted. One that is being ingested just so stays as it is.

        Raises what `require` does, AttachmentUnderWay, TooManyFiles, Unavailable.
        """
        (file,) = await self.require(caller, [wanted], "/chunking_strategy")
        collection = await self._collections.look_up(caller, Named.to_write(name))
        await self._find(caller, collection, wanted.file_id)  # what has ended does not stand in the way
        made = _attachment(wanted, file, once.id_at(0) if once else new_id(), None)
        refused = await self._catalogue.attach(collection, [made], MAX_ATTACHED)
        if refused is AttachRefused.UNDER_WAY:
            (made,) = await self._catalogue.find_attachments(collection, [wanted.file_id]) or [made]
            if not _is_alike(made, wanted):
                raise AttachmentUnderWay(wanted.file_id)
        else:
            _require(refused, name, wanted.file_id, "/file_id")
        if made.task_id is None:
            await self._submit(caller, collection, [made], made.version)
        (attached,) = await self._catalogue.find_attachments(collection, [wanted.file_id]) or [made]
        return attached

    async def attach_batch(self, caller: Caller, name: str, wanted: Sequence[FileAttach], once: Once | None) -> str:
        """The id of the batch. Raises what `require` and `attach_all` do."""
        files = await self.require(caller, wanted, "/chunking_strategy")
        collection = await self._collections.look_up(caller, Named.to_write(name))
        batch_id = once.id_at(0) if once else new_id()
        await self.attach_all(caller, collection, wanted, files, batch_id)
        return batch_id

    async def attach_all(
        self,
        caller: Caller,
        collection: Collection,
        wanted: Sequence[FileAttach],
        files: Sequence[StoredFile],
        batch_id: str,
    ) -> None:
        """All of them, as one batch. Raises AttachmentUnderWay, TooManyFiles, Unavailable."""
        present = await self._catalogue.find_attachments(collection, [one.file_id for one in wanted])
        await self._following.brought_up_to_date(caller, collection, present)
        made = [
            _attachment(one, file, _version(batch_id, one.file_id), batch_id)
            for one, file in zip(wanted, files, strict=True)
        ]
        refused = await self._catalogue.attach(collection, made, MAX_ATTACHED)
        _require(refused, collection.name, wanted[0].file_id, "/file_ids")
        await self._submit(caller, collection, made, batch_id)

    async def _submit(
        self, caller: Caller, collection: Collection, attachments: Sequence[Attachment], key: str
    ) -> None:
        """Have tasks ingest them, and write down their tasks. Raises Unavailable where some were not taken."""
        outcomes: Sequence[Outcome] = await self._ingestions.submit(caller, collection.name, attachments, key)
        await self._catalogue.settle(collection, outcomes)
        if len(outcomes) < len(attachments):
            raise Unavailable("tasks", detail="tasks could not take the ingestion now; attach the file again.")

    async def get(self, caller: Caller, name: str, file_id: str) -> Attachment:
        """Raises AttachmentNotFound."""
        collection = await self._collections.look_up(caller, Named.to_read(name))
        found = await self._find(caller, collection, file_id)
        if found is None:
            raise AttachmentNotFound(name, file_id)
        return found

    async def list_page(
        self,
        caller: Caller,
        name: str,
        span: Span,
        *,
        status: AttachmentStatus | None = None,
        batch_id: str | None = None,
    ) -> list[Attachment]:
        """By age. Raises PlaceUnknown."""
        collection = await self._collections.look_up(caller, Named.to_read(name))
        await self._following.look(caller, collection)
        found = await self._catalogue.list_attachments(collection, span, status=status, batch_id=batch_id)
        if found is None:
            raise PlaceUnknown("before" if span.after is None else "after")
        return found

    async def find_batch(self, caller: Caller, name: str, batch_id: str) -> Batch:
        """Raises BatchNotFound."""
        collection = await self._collections.look_up(caller, Named.to_read(name))
        await self._following.look(caller, collection)
        batch = await self._catalogue.find_batch(collection, batch_id)
        if batch is None:
            raise BatchNotFound(name, batch_id)
        return batch

    async def cancel_batch(self, caller: Caller, name: str, batch_id: str) -> Batch:
        """Tell those that are under way to stop. Raises BatchNotFound, AttachmentUnderWay for another's."""
        collection = await self._collections.look_up(caller, Named.to_write(name))
        span = Span(MAX_ATTACHED)
        under_way = await self._catalogue.list_attachments(
            collection, span, status=AttachmentStatus.IN_PROGRESS, batch_id=batch_id
        )
        await _each(under_way or (), lambda one: self._tell_to_stop(caller, one))
        return await self.find_batch(caller, name, batch_id)

    async def detach(self, caller: Caller, name: str, file_id: str) -> None:
        """Take its records away, and then it; where its ingestion goes on, that is stopped first.

        Raises AttachmentNotFound, AttachmentUnderWay.
        """
        collection = await self._collections.look_up(caller, Named.to_write(name))
        found = await self._find(caller, collection, file_id)
        if found is None:
            raise AttachmentNotFound(name, file_id)
        await self.stop(caller, collection, [found])
        leaf = {"field": "document_id", "op": "eq", "value": file_id}
        await self._records.delete(caller, DeleteRequest(collection=collection.name, filter=leaf))
        await self._catalogue.detach(collection, file_id, found.version)

    async def detach_everywhere(self, caller: Caller, file_id: str) -> None:
        """From each store of the tenant. Raises MissingScope for one that the caller may not write, AttachmentUnderWay.

        What is broken off is gone on with by a repetition.
        """
        names = await self._catalogue.list_attached(caller.tenant_id, file_id)
        for name in names:
            caller.require(WRITE, name)
        for name in names:
            with suppress(AttachmentNotFound, CollectionNotFound):  # meanwhile
                await self.detach(caller, name, file_id)

    async def stop(self, caller: Caller, collection: Collection, attachments: Sequence[Attachment]) -> None:
        """Have their ingestions end, which may take seconds. Raises AttachmentUnderWay where one does not."""
        under_way = [one for one in attachments if one.status is AttachmentStatus.IN_PROGRESS]
        await _each(under_way, lambda one: self._tell_to_stop(caller, one))
        until = asyncio.get_running_loop().time() + _STOPPING_SECONDS
        while under_way:
            current = await self._following.brought_up_to_date(caller, collection, under_way)
            under_way = [one for one in current if one.status is AttachmentStatus.IN_PROGRESS]
            if under_way and asyncio.get_running_loop().time() >= until:
                raise AttachmentUnderWay(under_way[0].file_id)
            if under_way:
                await asyncio.sleep(_LOOK_SECONDS)

    async def _tell_to_stop(self, caller: Caller, attachment: Attachment) -> None:
        """Raises AttachmentUnderWay for one that another submitted, or of which nobody knows whether it was."""
        caller.require(SUBMITS)
        if attachment.task_id is None:
            raise AttachmentUnderWay(attachment.file_id)
        try:
            await self._ingestions.cancel(caller, attachment.task_id)
        except Relayed as error:
            if error.status != _NOT_FOUND:
                raise
            raise AttachmentUnderWay(attachment.file_id) from error

    async def _find(self, caller: Caller, collection: Collection, file_id: str) -> Attachment | None:
        found = await self._catalogue.find_attachments(collection, [file_id])
        current = await self._following.brought_up_to_date(caller, collection, found)
        return next(iter(current), None)


async def _each(items: Iterable[Item], work: Callable[[Item], Awaitable[Result]]) -> list[Result]:
    """Some at once, as others have their turn too."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def done(item: Item) -> Result:
        async with turns:
            return await work(item)

    return await asyncio.gather(*map(done, items))


def _attachment(wanted: FileAttach, file: StoredFile, version: str, batch_id: str | None) -> Attachment:
    return Attachment(
        file_id=wanted.file_id,
        file_name=file.upload.name,
        bytes=file.received,
        attributes=wanted.attributes,
        chunking=chunking_of(wanted.chunking_strategy),
        version=version,
        created_at=datetime.now(UTC),
        batch_id=batch_id,
    )


def _require(refused: AttachRefused | None, name: str, file_id: str, pointer: str) -> None:
    """Raises CollectionNotFound, TooManyFiles, AttachmentUnderWay for what was refused."""
    match refused:
        case AttachRefused.GONE:
            raise CollectionNotFound(name)
        case AttachRefused.TOO_MANY:
            raise TooManyFiles(pointer)
        case AttachRefused.UNDER_WAY:
            raise AttachmentUnderWay(file_id)


def _version(batch_id: str, file_id: str) -> str:
    """The same in each repetition of the request that made the batch."""
    return hashlib.sha256(f"{batch_id}\0{file_id}".encode()).hexdigest()[:32]


def _is_alike(attachment: Attachment, wanted: FileAttach) -> bool:
    return attachment.attributes == wanted.attributes and attachment.chunking == chunking_of(wanted.chunking_strategy)
