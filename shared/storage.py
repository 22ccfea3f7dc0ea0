"""Watches the free space that the stores write into, so that writes are refused before a store breaks on a full disk.

A store whose disk is full may not come back when it is freed: a quorum queue stays down, a graph panics. So below a
floor nothing more is taken in; what is read, deleted or under way goes on, and has the floor as its reserve.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from shared.errors import StorageFull
from shared.health import Finding
from shared.loops import in_background, keep

STORAGE_REMEDY = "free or add space; reading and deleting go on"
_log = logging.getLogger("shared.storage")
_EVERY_SECONDS = 1.0
_STALE_SECONDS = 10.0  # a file system that does not answer for so long is not watched
_BACK_AT = 1.25  # times the floor: what is just freed is written again at once, and must not flap
_MIB = 2**20


class Storage:
    """The file systems that `folders` lie on. None of them: there is always room."""

    def __init__(self, folders: Sequence[str], floor_mib: int) -> None:
        self._folders = tuple(folders)
        self._floor = floor_mib * _MIB
        self._free: dict[str, int] = {}
        self._looked_at = time.monotonic()
        self._unreadable = set[str]()
        self.is_full = False
        """Whether less than the floor was free when last looked, a second ago or so, and not clearly more since."""

    @property
    def is_watched(self) -> bool:
        return bool(self._folders)

    def require_room(self) -> None:
        """Raises StorageFull below the floor."""
        if self.is_full:
            raise StorageFull

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look every second while the block runs."""
        if not self.is_watched:
            yield
            return
        async with in_background(keep(self._look, log=_log, every_seconds=_EVERY_SECONDS)):
            yield

    async def check(self) -> None:
        """Raises Finding when there is too little room, or when nobody knows. The log alone names folders."""
        if self.is_full:
            free, floor = min(self._free.values()) // _MIB, self._floor // _MIB
            raise Finding(f"{free} MiB of disk are free, and writes are refused below {floor}")
        if self._unreadable:
            raise Finding("the free space of a folder cannot be read", "correct STORAGE_FOLDERS; the log names it")
        if (seconds := time.monotonic() - self._looked_at) > _STALE_SECONDS:
            raise Finding(f"the disk has not told its free space for {seconds:.0f} s", "look at its mount")

    async def _look(self) -> None:
        """Off the event loop, since a file system may hang. Goes by the other folders where one cannot be read."""
        unreadable = set[str]()
        for folder in self._folders:
            try:
                self._free[folder] = await asyncio.to_thread(_free_bytes, folder)
            except OSError as error:
                self._free.pop(folder, None)
                unreadable.add(folder)
                if folder not in self._unreadable:
                    _log.warning("cannot read free space", extra={"fields": {"folder": folder, "cause": repr(error)}})
        self._unreadable = unreadable
        self._looked_at = time.monotonic()
        self._judge()

    def _judge(self) -> None:
        least = min(self._free.values(), default=self._floor * 2)
        is_full = least < self._floor * (_BACK_AT if self.is_full else 1)
        if is_full != self.is_full:
            told = "too little free space: writes are refused" if is_full else "there is room again"
            free_mib = {folder: free // _MIB for folder, free in self._free.items()}
            _log.warning(told, extra={"fields": {"free_mib": free_mib, "floor_mib": self._floor // _MIB}})
        self.is_full = is_full


def _free_bytes(folder: str) -> int:
    """What a process that is not root may still write there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
