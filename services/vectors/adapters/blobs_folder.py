"""Blobs in a folder, which replicas share: one file each, linked to its place when it is on the disk."""

import asyncio
import errno
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from services.vectors.adapters.fullness import absent
from services.vectors.domain import Blob
from shared.errors import UpstreamTimeout
from shared.health import Finding
from shared.schemas import new_id

COMPONENT: Final = "files"
PROBE, PROBED = "probes/", b"written and read back"
_THREADS: Final = 8  # of its own: a folder that hangs must not take those that all else has
_TRIES: Final = 5  # whoever empties a folder takes it away under whoever begins to fill it
_ASIDE: Final = ".aside"
_LEFT_BEHIND_SECONDS: Final = 3600.0
_PATH: Final = re.compile(r"[A-Za-z0-9-]+(/[A-Za-z0-9-]+)*")
Result = TypeVar("Result")


class FolderBlobs:
    """Needs a file system with hard links, which tell of two writers who was first."""

    def __init__(self, folder: Path, timeout_seconds: float) -> None:
        self._folder, self._seconds = folder, timeout_seconds
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")

    async def open(self) -> None:
        """Make the folder, and clear what a process left there that died while it wrote. Raises Unavailable."""
        await self._done(self._open)

    async def put(self, path: str, content: bytes) -> bool:
        place = self._at(path)
        return await self._done(lambda: self._put(place, content))

    async def get(self, path: str) -> bytes | None:
        place = self._at(path)
        return await self._done(lambda: _read(place))

    async def list(self, folder: str) -> list[Blob]:
        place = self._at(folder)
        return await self._done(lambda: sorted(self._below(place), key=lambda blob: blob.path))

    async def delete(self, path: str) -> None:
        place = self._at(path)
        await self._done(lambda: _delete(place))

    async def check(self) -> None:
        path = PROBE + new_id()
        await self.put(path, PROBED)
        found = await self.get(path)
        await self.delete(path)
        if found != PROBED:
            raise Finding("what is written is not what is read", "look at the folder of FILES_DIR")

    async def aclose(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _at(self, path: str) -> Path:
        """Raises ValueError for what might lead out of the folder."""
        if not _PATH.fullmatch(path):
            raise ValueError(f"{path!r} is no path of a blob")
        return self._folder / path

    async def _done(self, work: Callable[[], Result]) -> Result:
        """Off the event loop, since a file system may hang."""
        try:
            async with asyncio.timeout(self._seconds):
                with _our_errors():
                    return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError as error:
            raise UpstreamTimeout(COMPONENT) from error

    def _open(self) -> None:
        aside = self._folder / _ASIDE
        aside.mkdir(parents=True, exist_ok=True)
        for left in aside.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _LEFT_BEHIND_SECONDS:
                    left.unlink()

    def _put(self, place: Path, content: bytes) -> bool:
        if place.exists():
            return False
        aside = self._folder / _ASIDE / new_id()
        try:
            _write(aside, content)
            for left in reversed(range(_TRIES)):
                try:
                    self._make_folder(place.parent)
                    os.link(aside, place)
                except FileExistsError:
                    return False
                except FileNotFoundError:
                    if not left:
                        raise
                else:
                    _sync(place.parent)
                    return True
        finally:
            aside.unlink(missing_ok=True)
        raise AssertionError  # the last try has answered or raised

    def _make_folder(self, folder: Path) -> None:
        """Durably: each that is new is written down in the one above it."""
        if folder == self._folder or folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)

    def _below(self, place: Path) -> Iterator[Blob]:
        for folder, _, names in os.walk(place, onerror=_unless_absent):
            for name in names:
                one = Path(folder, name)
                with suppress(FileNotFoundError):  # deleted since
                    found = one.stat()
                    modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
                    yield Blob(one.relative_to(self._folder).as_posix(), found.st_size, modified_at)


def _write(place: Path, content: bytes) -> None:
    with place.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _delete(place: Path) -> None:
    try:
        place.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):  # which of them depends on the system
        shutil.rmtree(place, ignore_errors=False, onerror=_unless_gone)
    except NotADirectoryError:
        return
    if place.parent.is_dir():
        _sync(place.parent)


def _unless_absent(error: OSError) -> None:
    """By itself `os.walk` leaves out what it cannot read: a file would look deleted, and its parts be taken away."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _unless_gone(_: object, __: str, raised: tuple[type[BaseException], BaseException, object]) -> None:
    """Another may delete the same, or put something in: what is left then is swept away later."""
    error = raised[1]
    if isinstance(error, FileNotFoundError) or getattr(error, "errno", None) == errno.ENOTEMPTY:
        return
    raise error


def _sync(folder: Path) -> None:
    """Have the names in `folder` on the disk."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:  # deleted since, with what was in it
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError:  # an OSError as well
        raise
    except OSError as error:
        raise absent(COMPONENT, error) from error
