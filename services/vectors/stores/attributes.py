"""The use case of changing the attributes of a file: those of each of its records, and then those of the file."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.domain import Collection, MetadataChanges, Record
from services.vectors.errors import RecordNotFound
from services.vectors.ports import Catalogue
from services.vectors.records.service import RecordService
from services.vectors.stores.attaching import AttachmentService
from services.vectors.stores.domain import RESERVED, Attachment, AttachmentStatus, are_equal
from services.vectors.stores.errors import AttachmentNotFound, AttachmentUnderWay
from services.vectors.stores.fencing import Fence
from services.vectors.stores.parts import PartService
from services.vectors.together import each
from shared.identity import Caller

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
        fence: Fence,
    ) -> None:
        self._catalogue, self._collections = catalogue, collections
        self._attachments, self._parts, self._records = attachments, parts, records
        self._fence = fence

    async def update(self, caller: Caller, name: str, file_id: str, attributes: Mapping[str, Any]) -> Attachment:
        """The file, with `attributes` in place of those it had; of two changes at once one comes after the other.

        Raises AttachmentNotFound, AttachmentUnderWay.
        """
        collection = await self._collections.look_up(caller, Named.to_write(name))
        found = await self._attachments.get(caller, name, file_id)
        if found.status is AttachmentStatus.IN_PROGRESS:
            raise AttachmentUnderWay(file_id)
        async with self._fence.changing(collection, found.mark) as changing:
            async for page in self._parts.pages(caller, collection.name, file_id):
                await changing.go_on()
                await each(page, lambda record: self._change(caller, collection, record, attributes))
            if not await self._catalogue.set_attributes(collection, found.mark, attributes):
                raise AttachmentNotFound(name, file_id)
        return await self._attachments.get(caller, name, file_id)

    async def _change(
        self, caller: Caller, collection: Collection, record: Record, attributes: Mapping[str, Any]
    ) -> None:
        if changes := _changes(record.metadata, attributes):
            with suppress(RecordNotFound):  # by another door it may be deleted meanwhile
                await self._records.update(caller, collection.name, record.id, changes)


def _changes(metadata: Mapping[str, Any], attributes: Mapping[str, Any]) -> MetadataChanges:
    """Of one record; none where it has just these.

    Without its digest, which is of what was ingested: the next ingestion would take the record for unchanged.
    """
    kept = {name: value for name, value in metadata.items() if name not in RESERVED}
    if are_equal(kept, attributes):
        return {}
    return {**dict.fromkeys(kept), **attributes, _DIGEST: None}
