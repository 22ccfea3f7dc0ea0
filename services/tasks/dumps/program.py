"""The worker's side of the program that reads and writes dumps: started for one file, and never left behind."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from services.tasks.dumps import frames
from services.tasks.dumps.failures import DumpUnreadable
from services.tasks.errors import PermanentFailure
from shared.errors import StorageFull, Unavailable

_MODULE = "services.tasks.dumps"
_PROJECT = Path(__file__).resolve().parents[3]
# Nothing of ours but where Python is: what reads a stranger's file holds no secret. One thread, memory as it is used.
_KEPT = ("PATH", "PYTHONPATH", "LANG", "LD_LIBRARY_PATH")
_ITS_OWN = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_DIED = (
    "The program that reads and writes dumps died of this file: it took more memory or time than it may, or something "
    "in it that no dump has."
)
_KILLED = "The program that reads and writes dumps was killed; memory may have been short."


@asynccontextmanager
async def scratch() -> AsyncIterator[Path]:
    """A file on the disk that has no name, so that it goes with this process however that ends."""
    file = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        yield Path(f"/dev/fd/{file.fileno()}")
    finally:
        await asyncio.to_thread(file.close)


class Program:
    """One run of it. Raises PermanentFailure for what it refuses and when it dies of it, StorageFull for a full disk.

    Where memory is short the system kills it, whosever it is: that says nothing of its file, and is Unavailable.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    async def send(self, frame: bytes) -> None:
        """Hand over a frame; an empty one says that there are no more."""
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - opened with a pipe
        with contextlib.suppress(ConnectionError, RuntimeError):  # it died: what it said last, or did not, tells why
            stdin.write(frames.encoded(frame))
            await stdin.drain()

    async def receive(self) -> dict[str, Any] | None:
        """What it says next; None once it has done all."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - opened with a pipe
        try:
            size = frames.length(await stdout.readexactly(frames.LENGTH_BYTES))
            said: dict[str, Any] = orjson.loads(await stdout.readexactly(size))
        except asyncio.IncompleteReadError as error:
            if await self._process.wait() == -signal.SIGKILL:
                raise Unavailable("tasks", detail=_KILLED) from error
            raise PermanentFailure(DumpUnreadable.code, _DIED) from error
        if refusal := said.get("error"):
            if refusal["code"] == StorageFull.code:
                raise StorageFull("tasks")
            raise PermanentFailure(refusal["code"], refusal["detail"])
        return None if said.get("end") else said


@asynccontextmanager
async def running(mode: str, path: Path, options: dict[str, Any]) -> AsyncIterator[Program]:
    """The program with the `scratch` file `path`, to `read` or `write` it; killed at the end of the block."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | _ITS_OWN
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", _MODULE, mode, str(path), orjson.dumps(options).decode()),
        stdin=PIPE,
        stdout=PIPE,
        cwd=_PROJECT,
        env=environment,
        pass_fds=[int(path.name)],
        start_new_session=True,  # a signal to our group is ours to answer
    )
    try:
        yield Program(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()  # to the end of what it had said: a pipe with something in it is never closed
