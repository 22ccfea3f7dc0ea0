"""Which format a file is in: told by its content, whatever it is called."""

from pathlib import Path

import orjson

from services.tasks.dumps import foreign, jsonl, lines
from services.tasks.dumps.failures import DumpUnknown
from services.tasks.dumps.form import Dump, DumpFormat, Options, broken, collection_of

_HEAD_BYTES = 512


def opened(path: Path, wanted: DumpFormat | None, options: Options) -> Dump:
    """Raises DumpRefused, also where the file is not in the format `wanted`, or `options` mean nothing to it."""
    dump = _opened(path, options)
    if wanted and dump.format is not wanted:
        raise DumpUnknown(f"The file is in the format {dump.format!r}, not {wanted!r}.")
    if dump.format is not DumpFormat.QDRANT and options != Options():
        detail = f"'text_field' and 'vector_name' are for 'qdrant'; the file is in the format {dump.format!r}."
        raise DumpUnknown(detail)
    return dump


def _opened(path: Path, options: Options) -> Dump:
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            from services.tasks.dumps import parquet  # here: it takes a second to import, and JSON needs none of it

            return parquet.opened(path)
    with lines.opened(path) as text:
        foreign.refuse_archive(text.read(_HEAD_BYTES))
    number, first = next(lines.read(path), (0, b""))
    if not first:
        raise DumpUnknown("The file is empty.")
    if first[:1] not in b"{[":
        raise DumpUnknown("The file is neither Parquet nor JSON.")
    try:
        value = orjson.loads(first)
    except ValueError:
        return _one_value(path, number, options)
    if kind := foreign.format_of(value):
        return Dump(kind, None, lambda: foreign.rows(path, kind, options, is_one_value=False))
    if isinstance(value, dict) and "format" in value:
        return Dump(DumpFormat.JSONL, collection_of(value), lambda: jsonl.rows(path, has_header=True))
    if isinstance(value, dict) and "id" in value:
        return Dump(DumpFormat.JSONL, None, lambda: jsonl.rows(path, has_header=False))
    raise DumpUnknown("The file is JSON, but no dump of ours, of Chroma or of Qdrant.")


def _one_value(path: Path, number: int, options: Options) -> Dump:
    """A file whose first line is not JSON by itself: a value that was printed over many lines."""
    try:
        kind = foreign.format_of(orjson.loads(lines.whole(path)))
    except ValueError:
        raise broken(f"line {number}", "Is no JSON.") from None
    if kind is None:
        raise DumpUnknown("The file is JSON, but no dump of ours, of Chroma or of Qdrant.")
    return Dump(kind, None, lambda: foreign.rows(path, kind, options, is_one_value=True))
