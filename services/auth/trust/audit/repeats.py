"""What one process knows to be repeated, and how often it was; docs/decisions/0028.

The first of a kind is written to the log at once and opens a window, which all replicas see (`windows.py`). What comes
after it is counted here, in memory, and added to the window now and then: a flood costs the database nothing. Where a
window is open is never asked again before it is over.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from services.auth.trust.audit.entries import Noted
from services.auth.trust.audit.windows import WINDOW_SECONDS, WindowRepository
from shared.postgres import Database

ROOM: Final = 300
"""Windows of one action at once, over all replicas, that say it equally shortly; a tenant has `ROOM_OF_TENANT`."""
ROOM_OF_TENANT: Final = 50


@dataclass(slots=True)
class Open:
    """A window as this process knows it; `repeated` is still to be written."""

    key: bytes
    noted: Noted
    level: int
    ends_at: float
    repeated: int = 0


class OpenRepeats:
    """Counts; what a crash loses is a minute of it, and never the first of a kind."""

    def __init__(self) -> None:
        self._open: dict[bytes, Open] = {}

    def count(self, noted: Noted) -> bool:
        """Whether it repeats what is written already, and was counted."""
        for said in noted.said_ever_shorter:
            if found := self._open.get(_key(said)):
                found.repeated += noted.times
                return True
        return False

    async def begin(self, windows: WindowRepository, noted: Noted) -> Noted | None:
        """What the log is to say of the first of its kind; None where another replica has said it, and it is counted.

        Where too many kinds are there already it is said shorter, for more of them. One after the other, in all
        replicas: whoever calls this holds the log's lock.
        """
        if self.count(noted):  # begun while we waited for the lock
            return None
        candidates = {_key(said): (level, said) for level, said in enumerate(noted.said_ever_shorter)}
        ages = await windows.find_ages(list(candidates))
        for key, (level, said) in candidates.items():
            if key in ages:
                self._remember(key, said, level, ages[key]).repeated += noted.times
                return None
        taken = await windows.count_by_level(noted.action, noted.tenant_id)
        *longer, last = candidates.items()
        key, (level, said) = next((one for one in longer if _has_room(taken, one[1][0])), last)
        opened = self._remember(key, said, level, 0.0)
        await windows.add([opened])
        opened.repeated += noted.times - 1
        return said

    def _remember(self, key: bytes, noted: Noted, level: int, age_seconds: float) -> Open:
        """Even if the transaction fails: then only counts are written, which are as true."""
        opened = self._open[key] = Open(key, noted, level, time.monotonic() + WINDOW_SECONDS - age_seconds)
        return opened

    async def write(self, database: Database) -> None:
        """Add what was counted to the windows, and forget those that are over. Raises Unavailable, and keeps it all."""
        counted = [replace(one) for _, one in sorted(self._open.items()) if one.repeated]  # as it is now
        if counted:
            async with database.transaction() as session:
                await WindowRepository(session).add(counted)
        for one in counted:
            self._open[one.key].repeated -= one.repeated
        now = time.monotonic()
        self._open = {key: one for key, one in self._open.items() if one.repeated or now < one.ends_at}


def _has_room(taken: Mapping[int, tuple[int, int]], level: int) -> bool:
    in_all, of_tenant = taken.get(level, (0, 0))
    return in_all < ROOM and of_tenant < ROOM_OF_TENANT


def _key(noted: Noted) -> bytes:
    """The same for what is the same but for its time and its trace."""
    said = [noted.action, noted.actor, noted.tenant_id, noted.target, noted.source, noted.details]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()
