"""The use cases around the files of a store: attaching, reading, listing and detaching them.

A file is written down as attached before its ingestion is submitted, as the version that the ingestion is to write as:
so a process that dies in between has lost nothing that a repetition does not find, and nothing comes in unknown.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.domain import READ, WRITE, Collection
from services.vectors.errors import CollectionNotFound
from services.vectors.files.domain import StoredFile
from services.vectors.files.service import FileService
from services.vectors.ports import Catalogue, Embedder
from services.vectors.records.schemas import DeleteRequest
from services.vectors.records.service import RecordService
from services.vectors.stores.attachment_schemas import FileAttach, chunking_of
from services.vectors.stores.domain import MAX_ATTACHED, Attachment, AttachmentStatus, AttachRefused, Batch, Span
from services.vectors.stores.errors import (
    AttachmentNotFound,
    AttachmentUnderWay,
    BatchNotFound,
    ChunksTooLarge,
    PlaceUnknown,
    TooManyFiles,
)
from services.vectors.stores.expiring import Activity
from services.vectors.stores.fencing import Fence
from services.vectors.stores.following import Following
from services.vectors.stores.ports import Ingestions
from services.vectors.stores.stopping import SUBMITS, Stopping
from services.vectors.together import each
from shared.door import Once
from shared.errors import Unavailable
from shared.identity import Caller
from shared.schemas import new_id

_SUBMITTING_SECONDS: Final = 90.0
"""Longer than tasks are waited for (`SUBMIT_SECONDS`); then whoever did that has gone."""


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
        stopping: Stopping,
        embedder: Embedder,
        fence: Fence,
        activity: Activity,
    ) -> None:
        self._catalogue, self._collections, self._files = catalogue, collections, files
        self._records, self._ingestions, self._following = records, ingestions, following
        self._stopping, self._embedder, self._fence, self._activity = stopping, embedder, fence, activity

    async def require(self, caller: Caller, wanted: Sequence[FileAttach], pointer: str) -> list[StoredFile]:
        """The files, whole. Raises MissingScope, FileNotFound, FileUnfinished, and ChunksTooLarge at `pointer`."""
        for scope in (READ, SUBMITS):
            caller.require(scope)
        for one in wanted:
            most = chunking_of(one.chunking_strategy).most_tokens
            if most is not None and most > self._embedder.window_tokens:
                raise ChunksTooLarge(pointer, most, self._embedder.window_tokens)
        return await each(wanted, lambda one: self._files.get_whole(caller, one.file_id))

    async def attach(self, caller: Caller, name: str, wanted: FileAttach, once: Once | None) -> Attachment:
        """The file, whose ingestion is submitted. One that is being ingested just so stays as it is.

        Raises what `require` does, StoreExpired, AttachmentUnderWay, TooManyFiles, Unavailable.
        """
        (file,) = await self.require(caller, [wanted], "/chunking_strategy")
        collection = await self._collections.look_up(caller, Named.to_write(name))
        made = _attachment(wanted, file, once.id_at(0) if once else new_id(), None)
        await self._attach(caller, collection, [made], "/file_id")
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
        """All of them, as one batch. Raises StoreExpired, AttachmentUnderWay, TooManyFiles, Unavailable."""
        made = [
            _attachment(one, file, _derived(f"{batch_id}\0{one.file_id}"), batch_id)
            for one, file in zip(wanted, files, strict=True)
        ]
        await self._attach(caller, collection, made, "/file_ids")

    async def _attach(self, caller: Caller, collection: Collection, made: Sequence[Attachment], pointer: str) -> None:
        present = await self._catalogue.find_attachments(collection, [one.file_id for one in made])
        await self._following.brought_up_to_date(caller, collection, present)  # what has ended is not in the way
        await self._activity.note(collection)
        attached = await self._catalogue.attach(collection, made, most=MAX_ATTACHED, seconds=_SUBMITTING_SECONDS)
        match attached.refused:
            case AttachRefused.GONE:
                raise CollectionNotFound(collection.name)
            case AttachRefused.TOO_MANY:
                raise TooManyFiles(pointer)
            case AttachRefused.UNDER_WAY:
                raise AttachmentUnderWay(attached.file_id or made[0].file_id)
        if attached.anew:
            await self._submit(caller, collection, attached.anew)

    async def _submit(self, caller: Caller, collection: Collection, anew: Sequence[Attachment]) -> None:
        """Have tasks ingest them, and write down their tasks. Raises Unavailable where some were not taken.

        Whose task is not written down gives way to whoever attaches the file next, and may write no more then.
        """
        versions = [one.version for one in anew]
        try:
            outcomes = await self._ingestions.submit(caller, collection.name, anew, _derived("\0".join(versions)))
            await self._catalogue.settle(collection, outcomes)
        finally:
            await self._catalogue.release(collection, versions)
        if len(outcomes) < len(anew):
            raise Unavailable("tasks", detail="tasks could not take the ingestion now; attach the file again.")

    async def get(self, caller: Caller, name: str, file_id: str) -> Attachment:
        """Raises AttachmentNotFound."""
        collection = await self._collections.look_up(caller, Named.to_read(name))
        found = await self._find(caller, collection, file_id, to_read=True)
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
        """By age; of all, or of one batch. Raises PlaceUnknown, BatchNotFound."""
        collection = await self._collections.look_up(caller, Named.to_read(name))
        await self._following.look(caller, collection)
        if batch_id is not None:
            await self._require_batch(collection, batch_id)
        found = await self._catalogue.list_attachments(collection, span, status=status, batch_id=batch_id)
        if found is None:
            raise PlaceUnknown("before" if span.after is None else "after")
        return found

    async def find_batch(self, caller: Caller, name: str, batch_id: str) -> Batch:
        """Raises BatchNotFound."""
        collection = await self._collections.look_up(caller, Named.to_read(name))
        await self._following.look(caller, collection)
        return await self._require_batch(collection, batch_id)

    async def cancel_batch(self, caller: Caller, name: str, batch_id: str) -> Batch:
        """Tell those that are under way to stop. Raises BatchNotFound, AttachmentUnderWay for another's."""
        collection = await self._collections.look_up(caller, Named.to_write(name))
        span = Span(MAX_ATTACHED)
        under_way = await self._catalogue.list_attachments(
            collection, span, status=AttachmentStatus.IN_PROGRESS, batch_id=batch_id
        )
        current = await self._following.brought_up_to_date(caller, collection, under_way or [])
        await self._stopping.tell(caller, collection, current)
        return await self.find_batch(caller, name, batch_id)

    async def detach(self, caller: Caller, name: str, file_id: str) -> None:
        """Take its records away, and then it; where its ingestion goes on, that is stopped first.

        Once it is done none of them comes back. Raises AttachmentNotFound, AttachmentUnderWay.
        """
        collection = await self._collections.look_up(caller, Named.to_write(name))
        found = await self._find(caller, collection, file_id)
        if found is None:
            raise AttachmentNotFound(name, file_id)
        await self._stopping.stop(caller, collection, [found])
        leaf = {"field": "document_id", "op": "eq", "value": file_id}
        async with self._fence.changing(collection, found.mark):
            await self._records.delete(caller, DeleteRequest(collection=collection.name, filter=leaf))
            await self._catalogue.detach(collection, found.mark)

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

    async def _require_batch(self, collection: Collection, batch_id: str) -> Batch:
        batch = await self._catalogue.find_batch(collection, batch_id)
        if batch is None:
            raise BatchNotFound(collection.name, batch_id)
        return batch

    async def _find(
        self, caller: Caller, collection: Collection, file_id: str, *, to_read: bool = False
    ) -> Attachment | None:
        found = await self._catalogue.find_attachments(collection, [file_id])
        current = await self._following.brought_up_to_date(caller, collection, found, to_read=to_read)
        return next(iter(current), None)


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


def _derived(told: str) -> str:
    """An id, the same in each repetition of a request."""
    return str(UUID(hashlib.sha256(told.encode()).hexdigest()[:32]))
