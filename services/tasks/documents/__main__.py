"""`python -m services.tasks.documents TYPE PATH …`: reads documents, and writes their blocks on stdout, a line each.

It holds nothing that is worth anything: no secret is in its environment, and it may open no connection, start nothing
and write no file. A document that ends it has ended nothing else.

The last line is `{"failure": code, "detail": …, "document": n}` where a document cannot be read, else `{"done": n}`.
Nothing else says that it came to the end.
"""

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from services.tasks.documents import bounds
from services.tasks.documents.blocks import Block, DocumentType, encoded
from services.tasks.documents.failures import DocumentBroken, DocumentFailure, TooDeep, TooLarge
from services.tasks.documents.readers import read

# fmt: off
_FORBIDDEN: Final = frozenset({
    "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg",
    "subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system",
    "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate",
})
# fmt: on
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main(jobs: list[tuple[DocumentType, Path]], out: BinaryIO) -> None:
    """Write what `jobs` hold to `out`, and how it ended."""
    left = bounds.CHARS
    for index, (stated, path) in enumerate(jobs):
        try:
            left = _write(index, read(path, stated), out, left)
        except Exception as error:  # noqa: BLE001 - parsers raise whatever comes to pass in them
            out.write(_told(_failure_of(error), index))
            return
    out.write(orjson.dumps({"done": len(jobs)}) + b"\n")


def _write(index: int, blocks: Iterator[Block], out: BinaryIO, left: int) -> int:
    """How many characters may still come. Raises TooLarge when none are left, and whatever reading raises."""
    for block in blocks:
        left -= len(block.text)
        if left < 0:
            raise TooLarge(f"The document has more text than is read: {bounds.CHARS} characters.")
        out.write(encoded(index, block))
    out.flush()
    return left


def _failure_of(error: Exception) -> DocumentFailure:
    match error:
        case DocumentFailure():
            return error
        case MemoryError() | OSError():  # a write beyond what the output may have is an OSError
            return TooLarge()
        case RecursionError():
            return TooDeep()
        case _:
            return DocumentBroken()


def _told(failure: DocumentFailure, index: int) -> bytes:
    return orjson.dumps({"failure": failure.code, "detail": failure.detail, "document": index}) + b"\n"


def confine() -> None:
    """Take away what reading needs not. Some of it root may have nevertheless; a container's user may not."""
    for limit, value in {
        resource.RLIMIT_AS: bounds.MEMORY_BYTES,
        resource.RLIMIT_FSIZE: bounds.OUTPUT_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
    }.items():
        resource.setrlimit(limit, (value, value))
    # Where both are the same the kernel kills at once (SIGKILL), and nothing says that it was for the time (SIGXCPU).
    resource.setrlimit(resource.RLIMIT_CPU, (bounds.CPU_SECONDS, bounds.CPU_SECONDS + 5))
    sys.addaudithook(_forbid)


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _FORBIDDEN or (event == "open" and _writes(arguments)):
        raise PermissionError(event)


def _writes(arguments: tuple[Any, ...]) -> bool:
    """Python's own `open` names a mode, `os.open` has none but in its flags."""
    _, mode, flags = arguments
    return bool(flags & _WRITING) or (isinstance(mode, str) and any(letter in mode for letter in "wax+"))


if __name__ == "__main__":
    confine()
    types, paths = sys.argv[1::2], sys.argv[2::2]
    main([(DocumentType(one), Path(path)) for one, path in zip(types, paths, strict=True)], sys.stdout.buffer)
