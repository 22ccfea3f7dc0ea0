"""Parquet: a row for each record, the header in the schema's metadata. The only file that knows pyarrow."""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from services.tasks.dumps.failures import DumpBroken, DumpTooLarge, DumpUnknown
from services.tasks.dumps.form import (
    MAX_DIMENSION,
    MAX_RECORDS,
    NAME,
    Dump,
    DumpFormat,
    Row,
    broken,
    collection_of,
    header,
)
from services.tasks.dumps.rows import finite, little_endian, made, parsed

MAGIC = b"PAR1"
_KEY = NAME.encode()
_GROUP_BYTES = 8 * 2**20  # of a row group, of which a reader holds one
_READ_ROWS = 256
_READ_BYTES = 2**20  # at once: by itself it reads the column of a row group whole
_COLUMNS = frozenset({"id", "text", "metadata", "vector"})


@contextmanager
def _ours() -> Iterator[None]:
    """What Arrow says of a broken file becomes a refusal."""
    try:
        yield
    except pa.ArrowMemoryError as error:  # it is an ArrowException too
        raise MemoryError from error
    except (pa.ArrowException, OSError) as error:  # it says OSError of a page that does not unpack
        raise DumpBroken(f"The Parquet file cannot be read: {str(error)[:200]}") from error


def opened(path: Path) -> Dump:
    """Raises DumpRefused, also for a column that no record has."""
    with _ours(), pq.ParquetFile(path) as file:
        schema, records = file.schema_arrow, file.metadata.num_rows
    if records > MAX_RECORDS:
        raise DumpTooLarge(f"The file holds {records} records; a dump may have {MAX_RECORDS}.")
    if unknown := set(schema.names) - _COLUMNS:
        raise DumpUnknown(f"There is no column {min(unknown)[:64]!r} in a dump.")
    if "id" not in schema.names:
        raise DumpUnknown("The Parquet file has no column 'id'.")
    said = (schema.metadata or {}).get(_KEY)
    collection = None if said is None else collection_of(parsed("header", said))
    return Dump(DumpFormat.PARQUET, collection, lambda: _rows(path))


def _rows(path: Path) -> Iterator[Row]:
    number = 0
    with _ours(), pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES) as file:
        for batch in file.iter_batches(_READ_ROWS, use_threads=False):
            columns = {name: batch.column(name) for name in batch.schema.names}
            vectors = _vectors(columns.pop("vector", None), number, len(batch))
            lists = {name: _texts(name, column) for name, column in columns.items()}
            for at in range(len(batch)):
                number += 1
                place = f"record {number}"
                metadata = parsed(place, lists["metadata"][at] or "{}") if "metadata" in lists else {}
                text = lists["text"][at] if "text" in lists else None
                yield made(place, lists["id"][at], text, metadata, vectors[at])


def _texts(name: str, column: Any) -> list[str | None]:
    try:
        found: list[str | None] = column.cast(pa.large_string()).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
        raise DumpUnknown(f"The column {name!r} must hold text in UTF-8.") from error
    return found


def _vectors(column: Any, before: int, count: int) -> list[bytes | None]:
    if column is None or pa.types.is_null(column.type):
        return [None] * count
    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not is_list or not pa.types.is_floating(kind.value_type):
        raise DumpUnknown(f"The column 'vector' must hold lists of floating-point numbers, not {kind}.")
    return [_vector(f"record {before + at + 1}", column[at]) for at in range(count)]


def _vector(place: str, scalar: Any) -> bytes | None:
    if not scalar.is_valid:
        return None
    values = scalar.values
    if values.null_count:
        raise broken(place, "Every number of 'vector' must be a number, and not null.")
    if not 1 <= len(values) <= MAX_DIMENSION:
        raise broken(place, f"'vector' must be 1 to {MAX_DIMENSION} numbers.")
    numbers = values.cast(pa.float32())
    start = numbers.offset * 4
    return finite(place, numbers.buffers()[1][start : start + len(numbers) * 4].to_pybytes())


class ParquetWriter:
    """Writes a dump page by page, in row groups of several megabytes."""

    def __init__(self, path: Path, collection: dict[str, Any]) -> None:
        self._dimension: int = collection["dimension"]
        self._schema = pa.schema(
            [
                pa.field("id", pa.string(), nullable=False),
                pa.field("text", pa.string()),
                pa.field("metadata", pa.string(), nullable=False),
                pa.field("vector", pa.list_(pa.float32(), self._dimension), nullable=False),
            ],
            metadata={_KEY: orjson.dumps(header(collection))},
        )
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", use_dictionary=False)
        self._waiting: list[Any] = []
        self._bytes = 0

    def write(self, page: list[dict[str, Any]]) -> None:
        numbers = array("f")
        for record in page:
            numbers.extend(record["vector"])
        flat = pa.Array.from_buffers(pa.float32(), len(numbers), [None, pa.py_buffer(little_endian(numbers))])
        columns = [
            pa.array([record["id"] for record in page], pa.string()),
            pa.array([record["text"] for record in page], pa.string()),
            pa.array([orjson.dumps(record["metadata"]).decode() for record in page], pa.string()),
            pa.FixedSizeListArray.from_arrays(flat, self._dimension),
        ]
        batch = pa.record_batch(columns, schema=self._schema)
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting, self._bytes = [], 0
