"""How records lie in Qdrant's points; the server's adapter and Edge's share it, so a collection looks alike in both."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from services.vectors.domain import EngineName, Metadata, MetadataChanges, Record
from services.vectors.metadata import merged
from services.vectors.terms import terms_of
from shared.errors import Unavailable

# Point ids must be UUIDs or integers, ours are any text: the text is hashed, and kept in the payload.
_RECORD_IDS = uuid.UUID("7b0f3a52-94c1-5d0e-a7d2-5f0e5c3b9a10")

ID = "id"
TEXT = "text"
METADATA = "metadata"
TERMS = "terms"
NUMBERS = "numbers"
# The names of a point's two vectors: that of its record, which is Qdrant's unnamed one, and the words of its text.
DENSE, WORDS = "", "words"
_MERGES: Final = 64  # of one record at once; each attempt that fails is one that another's has overtaken
RETURNED = [ID, TEXT, METADATA]
# A payload index per numeric field makes its ranges fast; without one they are right, but read every payload.
MAX_INDEXED_NUMBERS = 32


def point_id(record_id: str) -> str:
    """The id of the point that keeps `record_id`."""
    return str(uuid.uuid5(_RECORD_IDS, record_id))


def physical_name(collection_id: str) -> str:
    """What Qdrant calls the collection."""
    return f"sutazai-{collection_id}"


def number_path(key: str) -> str:
    """The payload path of a numeric field by its escaped name."""
    return f"{NUMBERS}.{key}"


def payload_of(record: Record) -> dict[str, Any]:
    """The payload of `record`: its metadata as the text it came as, and beside it what filters ask for."""
    return {ID: record.id, TEXT: record.text, **metadata_payload(record.metadata)}


def metadata_payload(metadata: Metadata) -> dict[str, Any]:
    """The part of the payload that is made of the metadata."""
    indexed = terms_of(metadata)
    return {METADATA: kept_metadata(metadata), TERMS: indexed.terms, NUMBERS: indexed.numbers}


def kept_metadata(metadata: Metadata) -> str:
    """Metadata as a point keeps it: what was read from one is written alike."""
    return orjson.dumps(metadata).decode()


def content_of(payload: Mapping[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    """The id, text and metadata that `payload_of` put there."""
    return payload[ID], payload.get(TEXT), orjson.loads(payload[METADATA])


async def merge_while_same(
    changes: MetadataChanges,
    find: Callable[[], Awaitable[Record | None]],
    amend: Callable[[str, Metadata], Awaitable[bool]],
) -> Record | None:
    """The record that `find` finds, with `changes` in its metadata; None where it finds none.

    `amend(was, made)` puts `made` in its place if what is kept still `was` that, and says whether it was: so the change
    of another that comes in between is not lost. Raises MetadataTooLarge, and Unavailable when others come without end.
    """
    for _ in range(_MERGES):
        found = await find()
        if found is None:
            return None
        made, was = replace(found, metadata=merged(found.metadata, changes)), kept_metadata(found.metadata)
        if kept_metadata(made.metadata) == was or await amend(was, made.metadata):
            return made
    raise Unavailable(EngineName.QDRANT.component)
