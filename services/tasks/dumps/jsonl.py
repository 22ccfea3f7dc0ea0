"""Our JSON Lines: a header, then a line for each record."""

import base64
import gzip
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from services.tasks.dumps import lines
from services.tasks.dumps.form import Row, broken, header
from services.tasks.dumps.rows import little_endian, made, packed, parsed

_MEMBERS = frozenset({"id", "text", "metadata", "vector"})
_NINE_DIGITS = "%.9g".__mod__  # what tells all numbers of 32 bits apart; in 64 bits they have twice as many
_BUFFER_BYTES = 8192  # few, as a dump is too large once its file is: Python 3.14 would hold back 128 KiB
_LEVEL = 5  # of gzip: numbers gain little from more


def rows(path: Path, *, has_header: bool) -> Iterator[Row]:
    """Raises DumpRefused, naming the line."""
    read = lines.read(path)
    if has_header:
        next(read, None)
    for number, line in read:
        place = f"line {number}"
        given = parsed(place, line)
        if not isinstance(given, dict):
            raise broken(place, "A record must be an object.")
        if unknown := given.keys() - _MEMBERS:
            raise broken(place, f"There is no member {min(unknown)[:64]!r} of a record.")
        metadata = given.get("metadata")
        vector = packed(place, given.get("vector"))
        yield made(place, given.get("id"), given.get("text"), {} if metadata is None else metadata, vector)


class JsonlWriter:
    """Writes a dump page by page."""

    def __init__(self, path: Path, collection: dict[str, Any], *, compressed: bool, coded: bool) -> None:
        """With `coded` vectors are the base64 of their numbers, else lists."""
        self._raw = path.open("wb", _BUFFER_BYTES)
        self._file: Any = gzip.GzipFile("", "wb", _LEVEL, self._raw, mtime=0) if compressed else self._raw
        self._coded = coded
        self._file.write(orjson.dumps(header(collection), option=orjson.OPT_APPEND_NEWLINE))

    def write(self, page: list[dict[str, Any]]) -> None:
        for record in page:
            rest = orjson.dumps({member: record[member] for member in ("id", "text", "metadata")})
            self._file.write(b'%b,"vector":%b}\n' % (rest[:-1], self._vector(record["vector"])))

    def _vector(self, numbers: list[float]) -> bytes:
        if self._coded:
            return b'"%b"' % base64.b64encode(little_endian(array("f", numbers)))
        return b"[%b]" % ",".join(map(_NINE_DIGITS, numbers)).encode()

    def close(self) -> None:
        self._file.close()
        self._raw.close()
