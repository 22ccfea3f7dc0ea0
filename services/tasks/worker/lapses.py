"""Whether a lease that lapsed tells of a worker that fell silent: not where nobody could renew one."""

import time
from collections.abc import Callable
from typing import Final

_AWAY: Final = 1 / 2
"""Of a lease, between two answers: less leaves each that is renewed in time some of its own."""
_SPARED: Final = 1 / 3
"""Of a lease: many heartbeats."""


class Lapses:
    """Of one process, which looks for them again and again.

    After a database that was away, or a process that was frozen, whoever is still at work has a while to renew what it
    holds: else all that runs would be begun anew, and have lost an attempt by it. So they have after this process has
    begun, which cannot know what was before: it may have ended, again and again, for want of the database. No more than
    once in a lease, so that a database which answers slowly keeps no lost task for long.
    """

    def __init__(self, lease_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_seconds, self._clock = lease_seconds, clock
        self._answered_at = clock()
        self._spares_from = self._answered_at

    def are_telling(self) -> bool:
        """To be asked whenever the database has answered."""
        now = self._clock()
        is_due = now - self._spares_from > self._lease_seconds
        if is_due and now - self._answered_at > self._lease_seconds * _AWAY:
            self._spares_from = now
        self._answered_at = now
        return now - self._spares_from >= self._lease_seconds * _SPARED
