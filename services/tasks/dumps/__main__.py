"""`python -m services.tasks.dumps read|write <path> <options as JSON>`: what a worker has done with a file.

It holds no secret, and its memory and processor are bounded: what a file does to it, it does to nobody else.
"""

import errno
import resource
import sys
from pathlib import Path
from typing import Any

import orjson

from services.tasks.dumps import frames
from services.tasks.dumps.batches import batches, survey
from services.tasks.dumps.failures import DumpRefused, DumpTooLarge
from services.tasks.dumps.form import DumpFormat, Options
from services.tasks.dumps.jsonl import JsonlWriter
from services.tasks.dumps.opening import opened

_MEMORY_BYTES = 2**29  # a page of 32 MiB and what Python makes of it take half
_PROCESSOR_SECONDS = 3600
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_END: dict[str, Any] = {"end": True}


def read(path: Path, options: dict[str, Any]) -> None:
    """Say what the whole file holds, then say it batch by batch."""
    out = sys.stdout.buffer
    wanted = DumpFormat(options["format"]) if options["format"] else None
    dump = opened(path, wanted, Options(options["text_field"], options["vector_name"]))
    frames.put(out, survey(dump))
    for batch in batches(dump):
        frames.put(out, batch)
    frames.put(out, _END)


def write(path: Path, options: dict[str, Any]) -> None:
    """Write the pages that come, until an empty one; each is said to be written before the next is taken."""
    writer = _writer(path, options)
    while (page := frames.take(sys.stdin.buffer)) is not None:
        writer.write(orjson.loads(page)["items"])
        frames.put(sys.stdout.buffer, {"bytes": path.stat().st_size})
    writer.close()
    frames.put(sys.stdout.buffer, _END)


def _writer(path: Path, options: dict[str, Any]) -> Any:
    if options["format"] == DumpFormat.PARQUET:
        from services.tasks.dumps.parquet import ParquetWriter  # here: JSON Lines need none of it

        return ParquetWriter(path, options["collection"])
    return JsonlWriter(path, options["collection"], compressed=options["gzip"], coded=options["vectors"] == "base64")


def main() -> None:
    Path("/proc/self/oom_score_adj").write_text("1000")  # where memory is short it ends, and not its worker
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_SECONDS, _PROCESSOR_SECONDS + 5))  # SIGXCPU, then SIGKILL
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    mode, path, options = sys.argv[1:]
    try:
        {"read": read, "write": write}[mode](Path(path), orjson.loads(options))
    except DumpRefused as refused:
        frames.put(sys.stdout.buffer, {"error": {"code": refused.code, "detail": refused.detail}})
    except MemoryError:
        detail = f"Reading the file takes more memory than the {_MEMORY_BYTES} bytes that it may."
        frames.put(sys.stdout.buffer, {"error": {"code": DumpTooLarge.code, "detail": detail}})
    except (BrokenPipeError, EOFError):  # the worker is gone
        sys.exit(1)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        frames.put(sys.stdout.buffer, {"error": {"code": "common.storage_full", "detail": "The disk is full."}})


if __name__ == "__main__":
    main()
