"""What the confined program does with a dump: it says what is in it, or writes what it is given."""

from pathlib import Path
from typing import Any

import orjson

from services.tasks.confined.frames import Talk
from services.tasks.dumps.batches import batches, survey
from services.tasks.dumps.form import DumpFormat, Options
from services.tasks.dumps.jsonl import JsonlWriter
from services.tasks.dumps.opening import opened


def run(talk: Talk) -> None:
    """As it is asked: to read or to write, which file, and how. Raises DumpRefused."""
    asked = orjson.loads(talk.take() or b"{}")
    {"read": _read, "write": _write}[asked["mode"]](talk, Path(asked["path"]), asked["options"])


def _read(talk: Talk, path: Path, options: dict[str, Any]) -> None:
    """Say what the whole file holds, then say it batch by batch."""
    wanted = DumpFormat(options["format"]) if options["format"] else None
    dump = opened(path, wanted, Options(options["text_field"], options["vector_name"]))
    talk.give(orjson.dumps(survey(dump)))
    for batch in batches(dump):
        talk.give(batch)


def _write(talk: Talk, path: Path, options: dict[str, Any]) -> None:
    """Write the pages that come; each is said to be written before the next is taken."""
    writer = _writer(path, options)
    while (page := talk.take()) is not None:
        writer.write(orjson.loads(page)["items"])
        talk.give(orjson.dumps({"bytes": path.stat().st_size}))
    writer.close()


def _writer(path: Path, options: dict[str, Any]) -> Any:
    if options["format"] == DumpFormat.PARQUET:
        from services.tasks.dumps.parquet import ParquetWriter  # here: JSON Lines need none of it

        return ParquetWriter(path, options["collection"])
    return JsonlWriter(path, options["collection"], compressed=options["gzip"], coded=options["vectors"] == "base64")
