"""Keeps Edge's process alive and asks it: started at first use and again when it died; every wait is bounded."""

import asyncio
import contextlib
import itertools
import logging
import sys
import time
from asyncio.subprocess import Process
from pathlib import Path

import orjson

from services.vectors.adapters.edge_protocol import HEADER_BYTES, Message, encode, lengths
from services.vectors.adapters.fullness import says_full
from services.vectors.domain import MAX_ANSWER_BYTES, EngineName
from services.vectors.errors import AnswerTooLarge, CollectionMissing
from shared.errors import StorageFull, Unavailable, UpstreamTimeout

_log = logging.getLogger("vectors.edge")
_COMPONENT = EngineName.QDRANT.component
_PROJECT = Path(__file__).resolve().parents[3]
_MAX_WAITING = 256  # commands queue behind one another; more would only wait for their timeouts
_STOP_SECONDS = 10.0
_RESTART_SECONDS = 1.0  # one that dies at once must not be started by every request

Answer = tuple[Message, bytes]


class EdgeFailed(Exception):
    """Edge refused a command that should not have been given: a fault of ours, so a 500."""


class EdgeWordless(Exception):
    """The collection was made before Edge kept words."""


class EdgeProcess:
    """One child process, and the commands under way in it."""

    def __init__(self, root: Path, timeout_seconds: float, memory_bytes: int) -> None:
        self._root = root.absolute()
        self._memory_bytes = memory_bytes
        self._timeout_seconds = timeout_seconds
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._closing = False
        self._started_at = float("-inf")
        self._heard_at = 0.0

    @property
    def runs(self) -> bool:
        """Whether it was started, and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def call(self, message: Message, blob: bytes = b"") -> Answer:
        """The answer to `message`.

        Raises CollectionMissing, EdgeWordless, AnswerTooLarge, Unavailable, StorageFull, UpstreamTimeout, EdgeFailed.
        """
        if len(self._waiting) >= _MAX_WAITING:
            raise Unavailable(_COMPONENT)
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._send(encode(message | {"id": number}, blob))
                body, floats = await future
        except TimeoutError as error:
            self._kill_if_stuck()
            raise UpstreamTimeout(_COMPONENT) from error
        finally:
            del self._waiting[number]
        _raise_for(body)
        return body, floats

    async def _send(self, frame: bytes) -> None:
        process = await self._running()
        assert process.stdin is not None  # noqa: S101 - opened with a pipe
        try:
            process.stdin.write(frame)
            await process.stdin.drain()
        except (ConnectionError, RuntimeError) as error:  # RuntimeError: uvloop's word for a closed pipe
            raise Unavailable(_COMPONENT) from error

    async def _running(self) -> Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None or (self._reader and self._reader.done()):
                if time.monotonic() - self._started_at < _RESTART_SECONDS:
                    raise Unavailable(_COMPONENT)
                await self._reap()
                self._process = await self._spawn()
                self._started_at = self._heard_at = time.monotonic()
                self._reader = asyncio.create_task(self._listen(self._process))
            return self._process

    async def _spawn(self) -> Process:
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "services.vectors.adapters.edge_worker", str(self._root), str(self._memory_bytes)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=_PROJECT,
                start_new_session=True,  # a signal to our group must not stop it between write and flush
            )
        except OSError as error:
            raise Unavailable(_COMPONENT) from error

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None  # noqa: S101 - opened with a pipe
        try:
            while True:
                body, blob = lengths(await process.stdout.readexactly(HEADER_BYTES))
                answer = orjson.loads(await process.stdout.readexactly(body))
                floats = await process.stdout.readexactly(blob)
                self._heard_at = time.monotonic()
                self._resolve(answer, floats)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            if not self._closing:
                _log.warning("the engine's process ended", extra={"fields": {"pid": process.pid, "cause": repr(error)}})
            self._fail_all(error)

    def _resolve(self, answer: Message, floats: bytes) -> None:
        future = self._waiting.get(answer["id"])
        if future is not None and not future.done():
            future.set_result((answer, floats))

    def _fail_all(self, cause: BaseException) -> None:
        for future in self._waiting.values():
            if not future.done():
                error = Unavailable(_COMPONENT)
                error.__cause__ = cause
                future.set_exception(error)

    def _kill_if_stuck(self) -> None:
        """A queue is slow, a stuck engine is silent. Killing it loses nothing acknowledged: it keeps a log."""
        silent_seconds = time.monotonic() - self._heard_at
        if self._process and self._process.returncode is None and silent_seconds > self._timeout_seconds:
            _log.error("the engine's process is stuck and is killed", extra={"fields": {"pid": self._process.pid}})
            self._process.kill()

    async def _reap(self) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        if self._reader:
            await self._reader

    async def aclose(self) -> None:
        """Let it finish what it was told, then end it."""
        self._closing = True
        async with self._starting:
            if self._process is None:
                return
            if self._process.stdin and self._process.returncode is None:
                self._process.stdin.close()  # end of input is its signal to close the shards and leave
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_STOP_SECONDS):
                        await self._process.wait()
            await self._reap()


def _raise_for(body: Message) -> None:
    match body.get("error"):
        case None:
            return
        case "missing":
            raise CollectionMissing
        case "wordless":
            raise EdgeWordless
        case "large":
            raise AnswerTooLarge(MAX_ANSWER_BYTES)
        case _ if says_full(str(body.get("detail"))):
            raise StorageFull(_COMPONENT)
        case _:
            raise EdgeFailed(body.get("detail"))
