"""When a run may be given up: not just after Redis was away, for then the leases of runs that live have run out too.

Whoever holds one takes it again within a third of it. Until then nobody here ends a run as abandoned.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from shared.errors import Unavailable

SLOW_SECONDS: Final = 0.5
"""A Redis that takes longer to answer may have stood still."""
_RENEWAL_SECONDS: Final = 1.0


class Grace:
    """What one process knows of Redis' absences."""

    def __init__(self, lease_seconds: float) -> None:
        self._seconds = lease_seconds / 3 + _RENEWAL_SECONDS
        self._until = 0.0

    @property
    def is_over(self) -> bool:
        """Whether a lease that has run out is one that nobody renews."""
        return time.monotonic() >= self._until

    @contextmanager
    def watched(self) -> Iterator[None]:
        """What Redis does not answer in the block, or not soon, begins a time of grace."""
        started_at = time.monotonic()
        is_away = False
        try:
            yield
        except Unavailable:
            is_away = True
            raise
        finally:
            if is_away or time.monotonic() - started_at > SLOW_SECONDS:
                self._until = time.monotonic() + self._seconds
