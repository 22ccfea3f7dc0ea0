"""Goes through a dump twice: to say what is in it, or wrong with it, before anything is stored; then in parts."""

from collections.abc import Iterator
from typing import Any

import orjson

from services.tasks.dumps.failures import DumpDimension, DumpTooLarge
from services.tasks.dumps.form import MAX_BYTES, MAX_RECORD_BYTES, MAX_RECORDS, Dump, Row, broken

_RECORDS = 256
_TEXTS = 64  # of which each is embedded
_BYTES = 900 * 2**10  # below what `vectors` takes a place among its uploads for


def survey(dump: Dump) -> dict[str, Any]:
    """What the worker has to know first. Raises DumpRefused for whatever is wrong with any record."""
    collection = dump.collection
    dimension: int | None = collection.get("dimension") if collection else None
    records, size = 0, 0
    for row in dump.rows():
        length = len(orjson.dumps(row.item))
        if length > MAX_RECORD_BYTES:  # the worker holds it as well, with everybody's tasks
            raise broken(row.place, f"Has {length} bytes as JSON; a record may have {MAX_RECORD_BYTES}.")
        records, size = records + 1, size + length
        if records > MAX_RECORDS or size > MAX_BYTES:  # of a table kilobytes can be gigabytes
            detail = f"The file holds more than {MAX_RECORDS} records, or {MAX_BYTES} bytes of them."
            raise DumpTooLarge(detail)
        if row.dimension:
            dimension = dimension or row.dimension
            _require(row, dimension)
    return {"format": dump.format, "collection": collection, "records": records, "dimension": dimension}


def _require(row: Row, dimension: int) -> None:
    if row.dimension != dimension:
        place = f"{row.place[:1].upper()}{row.place[1:]}"
        detail = f"{place}: its vector has {row.dimension} dimensions, and the dump {dimension}."
        raise DumpDimension(detail)


def batches(dump: Dump) -> Iterator[bytes]:
    """Frames with `items` for `POST /vectors/store`, the place of each, and the number of the `first`, from 0."""
    first, size, texts = 0, 0, 0
    items, places = list[bytes](), list[str]()
    for row in dump.rows():
        item = orjson.dumps(row.item)
        if items and (len(items) == _RECORDS or texts == _TEXTS or size + len(item) > _BYTES):
            yield _frame(first, places, items)
            first, size, texts = first + len(items), 0, 0
            items, places = [], []
        items.append(item)
        places.append(row.place)
        size += len(item)
        texts += not row.dimension
    if items:
        yield _frame(first, places, items)


def _frame(first: int, places: list[str], items: list[bytes]) -> bytes:
    return b'{"first":%d,"places":%b,"items":[%b]}' % (first, orjson.dumps(places), b",".join(items))
