"""Makes sure that one process only writes in a data directory: the engines in it keep parts of it in memory."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from shared.settings import CannotStart

_WAIT_SECONDS = 15.0  # the instance before us may still be finishing its last requests


class DataDirInUse(CannotStart):
    """Another process owns the directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__("DATA_DIR", f"{directory} belongs to another process of vectors, which is to end first")


@asynccontextmanager
async def owned(directory: Path) -> AsyncIterator[None]:
    """Hold the directory's lock; it is freed when the process ends, however that happens. Raises DataDirInUse."""
    file = await asyncio.to_thread(_lock, directory)
    try:
        yield
    finally:
        file.close()


def _lock(directory: Path) -> IO[str]:
    directory.mkdir(parents=True, exist_ok=True)
    file = (directory / "lock").open("w")
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                file.close()
                raise DataDirInUse(directory) from error
            time.sleep(0.1)
