"""One `up` or `down` of a suite at a time: a second one waits for the first."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from local.errors import LocalError
from local.layout import Layout

WAIT_SECONDS: Final = 300.0


@contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Holds the suite's lock. Raises LocalError when another process does not give it up in time."""
    with (layout.run / "lock").open("w") as file:
        deadline = time.monotonic() + WAIT_SECONDS
        while not _taken(file.fileno()):
            if time.monotonic() > deadline:
                raise LocalError(f"another up or down of {layout.home} is still at work")
            time.sleep(0.1)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
