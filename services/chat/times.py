"""Moments, in the milliseconds in which chat stores and shows them."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present, in the milliseconds that are stored."""
    return from_ms(to_ms(datetime.now(UTC)))


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def from_ms(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
