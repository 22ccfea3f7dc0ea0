"""The records that a file was ingested into: a page of them at a time, or what they say in the order of the file."""

from collections.abc import AsyncIterator
from typing import Final

import orjson

from services.vectors.domain import Record
from services.vectors.records.listing import Listing, ListingService
from services.vectors.room import Room
from services.vectors.stores.attaching import AttachmentService
from services.vectors.usage.domain import content_bytes
from shared.identity import Caller

_PAGE: Final = 100


class PartService:
    """Built once."""

    def __init__(self, attachments: AttachmentService, listing: ListingService) -> None:
        self._attachments, self._listing = attachments, listing

    async def read(self, caller: Caller, name: str, file_id: str) -> list[str]:
        """The texts of the file's chunks. Raises CollectionNotFound, AttachmentNotFound, AnswerTooLarge."""
        await self._attachments.get(caller, name, file_id)
        room, found = Room(), list[tuple[int, str]]()
        async for page in self.pages(caller, name, file_id):
            for record in page:
                room.take(content_bytes(record.text, record.metadata))
                if record.text is not None:
                    found.append((_number(record), record.text))
        return [text for _, text in sorted(found)]

    async def pages(self, caller: Caller, name: str, file_id: str) -> AsyncIterator[list[Record]]:
        """The records, without their vectors."""
        condition = orjson.dumps({"field": "document_id", "op": "eq", "value": file_id}).decode()
        cursor: str | None = None
        while True:
            asked = Listing(_PAGE, cursor, condition, with_vectors=False, with_count=False)
            found = await self._listing.list_page(caller, name, asked)
            yield list(found.records.rows)
            cursor = found.records.next_cursor
            if cursor is None:
                return


def _number(record: Record) -> int:
    """Where it stands in the file."""
    number = record.metadata.get("chunk")
    return number if isinstance(number, int) else 0
