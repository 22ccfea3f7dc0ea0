"""Chunks on their way into a collection: none twice, and none left of what a document had before."""

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from services.tasks.documents.chunking import Chunk
from services.tasks.errors import retry_after
from services.tasks.kinds.halving import in_halves
from services.tasks.kinds.kind import Context
from shared.errors import ServiceError

OURS: Final = frozenset({"document_id", "chunk", "headings", "page", "digest"})
"""Metadata that ingestion sets."""
_DOCUMENTS_A_DELETE: Final = 32  # each takes two leaves of a filter, and a filter has at most 64
_STORE_SECONDS: Final = 120.0
_BUSY, _NONE = "vectors.embeddings_busy", "vectors.collection_not_found"

Item = dict[str, Any]
"""A record as `POST /vectors/store` takes it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where chunks are stored: in a collection, of a vector store's file only while that is attached as it was."""

    collection: str
    file_id: str | None = None
    attached_as: str | None = None

    @property
    def told(self) -> dict[str, Any]:
        """As `vectors` is told with what is stored or deleted there."""
        if self.attached_as is None:
            return {"collection": self.collection}
        attached_as = {"file_id": self.file_id, "version": self.attached_as}
        return {"collection": self.collection, "attached_as": attached_as}


def item_of(chunk: Chunk, document_id: str, number: int, metadata: Mapping[str, Any]) -> Item:
    """The record of chunk `number`. Its id is the same however often the document is read; its digest as long as
    nothing in it changes."""
    about: dict[str, Any] = {**metadata, "document_id": document_id, "chunk": number}
    if chunk.headings:
        about["headings"] = list(chunk.headings)
    if chunk.page is not None:
        about["page"] = chunk.page
    item_id = f"{document_id}#{number}"
    told = orjson.dumps([item_id, chunk.text, about], option=orjson.OPT_SORT_KEYS)
    about["digest"] = urlsafe_b64encode(hashlib.blake2b(told, digest_size=15).digest()).decode()
    return {"id": item_id, "text": chunk.text, "metadata": about}


async def missing(context: Context, collection: str, items: Sequence[Item]) -> list[Item]:
    """Those of `items` (up to 100) that the collection has not, just as they are."""
    digests = [item["metadata"]["digest"] for item in items]
    condition = orjson.dumps({"field": "digest", "op": "in", "value": digests}).decode()
    path = f"/api/v1/vectors/collections/{collection}/records"
    query = urlencode({"filter": condition, "limit": len(items)})
    try:
        page = (await context.call("vectors", "GET", f"{path}?{query}")).json()
    except ServiceError as error:
        if error.code == _NONE:
            return list(items)
        raise
    there = {record["id"] for record in page["items"]}
    return [item for item in items if item["id"] not in there]


async def store(context: Context, place: Place, items: Sequence[Item]) -> None:
    """In as many requests as the model of `vectors` has time for."""
    await in_halves(items, lambda some: _store_in_turn(context, place, some))


async def _store_in_turn(context: Context, place: Place, items: Sequence[Item]) -> None:
    """Where the model is busy nothing was done, and it says when there is room."""
    while True:
        try:
            return await _store_at_once(context, place, items)
        except ServiceError as error:
            if error.code != _BUSY:
                raise
            seconds = retry_after(error) or 1
        await asyncio.sleep(min(seconds, context.remaining_seconds))


async def _store_at_once(context: Context, place: Place, items: Sequence[Item]) -> None:
    await context.call(
        "vectors",
        "POST",
        "/api/v1/vectors/store",
        json={**place.told, "items": list(items)},
        timeout_seconds=_STORE_SECONDS,
        idempotent=True,  # same ids replace
    )


async def delete_leftovers(context: Context, place: Place, counts: Mapping[str, int]) -> None:
    """What documents that had more chunks left behind; `counts` has how many each has now, which may be none."""
    documents = list(counts)
    for start in range(0, len(documents), _DOCUMENTS_A_DELETE):
        beyond = [_beyond(one, counts[one]) for one in documents[start : start + _DOCUMENTS_A_DELETE]]
        body = {**place.told, "filter": {"or": beyond}}
        try:
            await context.call("vectors", "POST", "/api/v1/vectors/delete", json=body, idempotent=True)
        except ServiceError as error:
            if error.code != _NONE:  # nothing was stored, then or now
                raise


def _beyond(document_id: str, count: int) -> dict[str, Any]:
    """The chunks of a document from number `count` on."""
    return {
        "and": [
            {"field": "document_id", "op": "eq", "value": document_id},
            {"field": "chunk", "op": "gte", "value": count},
        ]
    }
