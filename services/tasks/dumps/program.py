"""The confined program that reads and writes dumps, with the one file that it is started for."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from services.tasks.confined.ends import End
from services.tasks.confined.limits import Limits
from services.tasks.confined.room import Program, Room, running
from services.tasks.dumps.failures import DumpTooLarge, DumpUnreadable
from services.tasks.dumps.form import MAX_FILE_BYTES

_INSIDE: Final = "services.tasks.dumps.inside"
_MEMORY_BYTES: Final = 2**29  # a page of 32 MiB and what Python makes of it take half
_PROCESSOR_SECONDS: Final = 3600
_ENDS: Final = {
    End.MEMORY: DumpTooLarge(f"Reading the file takes more memory than the {_MEMORY_BYTES} bytes that it may."),
    End.TIME: DumpUnreadable(),
    End.SIZE: DumpTooLarge(f"The file would have more than {MAX_FILE_BYTES} bytes."),
    End.CRASH: DumpUnreadable(),
}
_ROOMS: Final = {
    "read": Room(_INSIDE, Limits(_MEMORY_BYTES, _PROCESSOR_SECONDS), _ENDS),
    "write": Room(_INSIDE, Limits(_MEMORY_BYTES, _PROCESSOR_SECONDS, MAX_FILE_BYTES), _ENDS),
}


@asynccontextmanager
async def scratch() -> AsyncIterator[Path]:
    """A file on the disk that has no name, so that it goes with this process however that ends."""
    file = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        yield Path(f"/dev/fd/{file.fileno()}")
    finally:
        await asyncio.to_thread(file.close)


@asynccontextmanager
async def opened(mode: str, path: Path, options: dict[str, Any]) -> AsyncIterator[Program]:
    """The program with the `scratch` file `path`, to `read` or `write` it; gone at the end of the block."""
    async with running(_ROOMS[mode], files=[int(path.name)]) as program:
        await program.send(orjson.dumps({"mode": mode, "path": str(path), "options": options}))
        yield program
