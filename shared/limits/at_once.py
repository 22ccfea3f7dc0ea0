"""How many requests one process is at work on."""

from typing import Final

from shared.errors import Unavailable

MOST_AT_ONCE: Final = 2_000
"""Streams among them; whoever asks whether it lives is not counted."""


def crowded() -> Unavailable:
    """What is said to one too many."""
    detail = f"This instance is at work on {MOST_AT_ONCE:,} requests, which is all that it takes: try again."
    return Unavailable("this instance", retry_after_seconds=1, detail=detail)
