"""What a model was asked for and has not done yet: no more is taken on than can be done in time.

Who is refused before anything is done may come again, when there is room. Who waits for the end of the time in vain has
had the work done for nobody.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from services.vectors.domain import MAX_TEXT_CHARS
from services.vectors.errors import EmbeddingsBusy, TooMuchText

_CERTAIN: Final = 0.8  # of the time is promised: what is measured is not what will be
_KEPT: Final = 0.9  # of what was measured before, with each batch
_OLD_SECONDS: Final = 60.0
TEXT_BYTES: Final = 16
"""That each text counts for beside its own: what a model reads before and behind it (`passage: `, two marks)."""
_LEAST_BYTES: Final = (
    MAX_TEXT_CHARS + TEXT_BYTES
)  # that is taken on whatever was measured, when nothing else is under way

Owner = tuple[str, str]
"""A tenant and a user."""


class Pace:
    """How many bytes of text a lane embeds in a second, as far as was seen lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._size, self._seconds, self._noted_at = 0.0, 0.0, -math.inf

    def note(self, size: int, seconds: float) -> None:
        """A batch of `size` bytes took `seconds`."""
        self._size, self._seconds = self._size * _KEPT + size, self._seconds * _KEPT + seconds
        self._noted_at = self._clock()

    def a_second(self) -> float | None:
        """None when nothing is known: at first, and when the last batch was long ago."""
        if self._clock() - self._noted_at > _OLD_SECONDS or self._seconds <= 0:
            return None
        return self._size / self._seconds


class Backlog:
    """The bytes of text that `lanes` have still to embed, by whom; `seconds` is the time that each request has.

    Tenants take turns, and so do the users of each. So a newcomer waits until as much as it wants itself is done for
    everybody else who is there, and is let in if that is in time; a tenant that is there with more is slower then.
    """

    def __init__(self, *, lanes: int, seconds: float, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._lanes, self._seconds = lanes, seconds
        self._owed: Counter[Owner] = Counter()

    @contextmanager
    def taking_on(self, owner: Owner, size: int) -> Iterator["Work"]:
        """Through the block `size` bytes are owed to `owner`, less what is done. Raises EmbeddingsBusy, TooMuchText."""
        self._require_time(owner, size)
        work = Work(self._owed, owner, size)
        try:
            yield work
        finally:
            work.done(size)

    def _require_time(self, owner: Owner, size: int) -> None:
        if (pace := self.pace.a_second()) is None:
            return
        a_second = pace * self._lanes
        room = max(a_second * self._seconds * _CERTAIN, _LEAST_BYTES)
        if size > room:
            raise TooMuchText(int(room))
        if (owed := self._before(owner, size)) > room:
            raise EmbeddingsBusy(retry_after_seconds=math.ceil((owed - room) / a_second))

    def _before(self, owner: Owner, size: int) -> int:
        """The bytes that are embedded by the time that `size` more of `owner` are."""
        tenants: Counter[str] = Counter()
        own = self._owed[owner] + size
        for (tenant_id, user_id), owed in self._owed.items():
            if (tenant_id, user_id) != owner:
                tenants[tenant_id] += min(owed, own) if tenant_id == owner[0] else owed
        own += tenants.pop(owner[0], 0)
        return own + sum(min(owed, own) for owed in tenants.values())


class Work:
    """What is owed to one request."""

    def __init__(self, owed: Counter[Owner], owner: Owner, size: int) -> None:
        self._all, self._owner, self._left = owed, owner, size
        owed[owner] += size

    def done(self, size: int) -> None:
        """`size` bytes less, or what is left."""
        size = min(size, self._left)
        self._left -= size
        self._all[self._owner] -= size
        if not self._all[self._owner]:
            del self._all[self._owner]  # a counter keeps a zero for everyone who ever came
