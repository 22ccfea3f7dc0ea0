"""Files of JSON, plain or compressed, line by line: never more than one line in memory."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from services.tasks.dumps.failures import DumpBroken, DumpTooLarge
from services.tasks.dumps.form import MAX_BYTES, MAX_LINE_BYTES

_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"  # what some editors begin UTF-8 with


def is_compressed(head: bytes) -> bool:
    """Whether what begins so is gzip."""
    return head.startswith(_GZIP)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """What the file says, decompressed. Raises DumpRefused where its compression is broken."""
    with path.open("rb") as raw:
        compressed = is_compressed(raw.read(len(_GZIP)))
        raw.seek(0)
        try:
            if compressed:
                with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                    yield unpacked  # type: ignore[misc]
            else:
                yield raw
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DumpBroken(f"The file's compression is broken: {error}.") from error


def read(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1. Raises DumpRefused."""
    total = 0
    with opened(path) as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number, total = number + 1, total + len(line)
            if len(line) > MAX_LINE_BYTES:
                raise DumpTooLarge(f"Line {number} has more than {MAX_LINE_BYTES} bytes.")
            if total > MAX_BYTES:
                raise DumpTooLarge(f"The file holds more than {MAX_BYTES} bytes.")
            if stripped := (line.removeprefix(_MARK) if number == 1 else line).strip():
                yield number, stripped


def whole(path: Path) -> bytes:
    """The whole of a file that is one JSON value. Raises DumpRefused where it is longer than a line may be."""
    with opened(path) as file:
        content = file.read(MAX_LINE_BYTES + 1)
    if len(content) > MAX_LINE_BYTES:
        detail = f"A file that is one JSON value may have {MAX_LINE_BYTES} bytes; write a line for each page."
        raise DumpTooLarge(detail)
    return content.removeprefix(_MARK)
