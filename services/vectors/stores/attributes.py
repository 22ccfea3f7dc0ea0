"""The use case of changing the attributes of a file: those of each of its records, and then those of the file."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.domain import MetadataChanges, Record
from services.vectors.ports import Catalogue
from services.vectors.records.service import RecordService
from services.vectors.stores.attaching import AttachmentService
from services.vectors.stores.domain import RESERVED, Attachment, AttachmentStatus
from services.vectors.stores.errors import AttachmentNotFound, AttachmentUnderWay
from services.vectors.stores.parts import PartService
from shared.identity import Caller

_AT_ONCE: Final = 8
_DIGEST: Final = "digest"


class AttributeService:
    """Built once. What is broken off is gone on with by a repetition, which finds what is done already."""

    def __init__(
        self,
        catalogue: Catalogue,
        collections: CollectionService,
        attachments: AttachmentService,
        parts: PartService,
        records: RecordService,
    ) -> None:
        self._catalogue, self._collections = catalogue, collections
        self._attachments, self._parts, self._records = attachments, parts, records

    async def update(self, caller: Caller, name: str, file_id: str, attributes: Mapping[str, Any]) -> Attachment:
        """The file, with `attributes` in place of those it had. Raises AttachmentNotFound, AttachmentUnderWay."""
        collection = await self._collections.look_up(caller, Named.to_write(name))
        found = await self._attachments.get(caller, name, file_id)
        if found.status is AttachmentStatus.IN_PROGRESS:
            raise AttachmentUnderWay(file_id)
        async for page in self._parts.pages(caller, collection.name, file_id):
            turns = asyncio.Semaphore(_AT_ONCE)

            async def change(record: Record, turns: asyncio.Semaphore = turns) -> None:
                if changes := _changes(record.metadata, attributes):
                    async with turns:
                        await self._records.update(caller, collection.name, record.id, changes)

            await asyncio.gather(*map(change, page))
        if not await self._catalogue.set_attributes(collection, file_id, found.version, attributes):
            raise AttachmentNotFound(name, file_id)
        return await self._attachments.get(caller, name, file_id)


def _changes(metadata: Mapping[str, Any], attributes: Mapping[str, Any]) -> MetadataChanges:
    """Of one record; none where it has just these.

    Without its digest, which is of what was ingested: the next ingestion would take the record for unchanged.
    """
    kept = {name: value for name, value in metadata.items() if name not in RESERVED}
    if kept == attributes:
        return {}
    return {**dict.fromkeys(kept), **attributes, _DIGEST: None}
