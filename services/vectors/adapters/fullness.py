"""Tells a full disk from an engine that is away: another answer, though neither is the caller's fault."""

import sqlite3

from shared import disk
from shared.errors import StorageFull, Unavailable

# The second is said of a file that is opened: the memory that its connections share lies beside it and has to grow.
_SQLITE_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
# What engines say in a text, having no code for it: the system's own words, SQLite's, and Qdrant's.
_SAYINGS = ("no space left on device", "database or disk is full", "not enough space", "disk quota exceeded")


def absent(component: str, error: BaseException | None = None, *, said: str = "") -> Unavailable:
    """What to raise for an engine that failed with `error`, or with the text `said`: StorageFull or Unavailable."""
    is_full = disk.is_full(error)
    is_full |= isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) in _SQLITE_CODES
    return StorageFull(component) if is_full or says_full(said) else Unavailable(component)


def says_full(text: str) -> bool:
    """Whether an engine's error is that its disk is full."""
    lower = text.lower()
    return any(saying in lower for saying in _SAYINGS)
