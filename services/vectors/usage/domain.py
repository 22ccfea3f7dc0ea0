"""How much there is: of a tenant, of a collection, and what a tenant may have."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import orjson

from services.vectors.domain import Metadata, Record

_NUMBER_BYTES = 4


@dataclass(frozen=True, slots=True)
class Quotas:
    """What a tenant may have of each; 0 is no limit."""

    collections: int = 0
    records: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Size:
    """Records and the bytes of their vectors, texts and metadata; not what engines add to them."""

    records: int = 0
    bytes: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.records + other.records, self.bytes + other.bytes)

    def __sub__(self, other: "Size") -> "Size":
        return Size(self.records - other.records, self.bytes - other.bytes)


NOTHING: Final = Size()


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a tenant. `uncounted` collections are in no other number: their engine did not answer."""

    collections: int
    size: Size
    uncounted: int


def content_bytes(text: str | None, metadata: Metadata) -> int:
    """Of a record, beside its vector."""
    return len((text or "").encode()) + len(orjson.dumps(metadata))


def size_of(records: int, dimension: int, contents: int) -> Size:
    """Of `records` whose texts and metadata are `contents` bytes together."""
    return Size(records, records * dimension * _NUMBER_BYTES + contents)


def estimated(count: int, dimension: int, sample: Iterable[Record]) -> Size:
    """Of a collection of which `sample` are some records: exact when they are all."""
    found = [content_bytes(record.text, record.metadata) for record in sample]
    return size_of(count, dimension, count * sum(found) // max(1, len(found)))
