"""How long whoever asked will wait, carried from call to call, so that nobody works for one who has gone.

A call tells its remaining time in `X-Remaining-Ms`: not a moment, since clocks differ. Who receives it ends its work by
then. It can only shorten the receiver's own limit, so it need not be believed and may come from anywhere.
"""

import contextvars
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

HEADER = "x-remaining-ms"
_end_at: contextvars.ContextVar[float] = contextvars.ContextVar("end_at", default=math.inf)


class limited:  # noqa: N801 - read as a verb; no generator, since every request passes here
    """Whatever the block does is for somebody who waits `seconds` more, or less if that was said already."""

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._token = _end_at.set(min(_end_at.get(), time.monotonic() + self._seconds))

    def __exit__(self, *_: object) -> None:
        _end_at.reset(self._token)


@contextmanager
def of_its_own(seconds: float) -> Iterator[None]:
    """Whatever the block does goes on for `seconds`, whether or not whoever asked still waits."""
    token = _end_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end_at.reset(token)


def remaining(seconds: float) -> float:
    """`seconds`, cut to what is left; never below 0."""
    return max(0.0, min(seconds, _end_at.get() - time.monotonic()))


def told(header: bytes | None) -> float | None:
    """The seconds that the header gives, None where it is missing or says nothing sensible."""
    if header is None or len(header) > 9 or not header.isdigit():
        return None
    return int(header) / 1000
