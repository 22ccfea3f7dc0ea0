"""How records lie in Qdrant's points; the server's adapter and Edge's share it, so a collection looks alike in both."""

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from services.vectors.domain import Record
from services.vectors.terms import terms_of

# Point ids must be UUIDs or integers, ours are any text: the text is hashed, and kept in the payload.
_RECORD_IDS = uuid.UUID("7b0f3a52-94c1-5d0e-a7d2-5f0e5c3b9a10")

ID = "id"
TEXT = "text"
METADATA = "metadata"
TERMS = "terms"
NUMBERS = "numbers"
# The names of a point's two vectors: that of its record, which is Qdrant's unnamed one, and the words of its text.
DENSE, WORDS = "", "words"
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
    indexed = terms_of(record.metadata)
    return {
        ID: record.id,
        TEXT: record.text,
        METADATA: orjson.dumps(record.metadata).decode(),
        TERMS: indexed.terms,
        NUMBERS: indexed.numbers,
    }


def content_of(payload: Mapping[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    """The id, text and metadata that `payload_of` put there."""
    return payload[ID], payload.get(TEXT), orjson.loads(payload[METADATA])
