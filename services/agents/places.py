"""Where an agent stands among those of its tenant, by age, as words of the full-text index.

The index knows words only. With these, a search is told its tenant, and between which two moments to look: it then
reads that part of the index, however many agents there are before, after, and of other tenants.

    tenant_word     the tenant's id as one word
    place           the same before the microsecond of creation, and before its first two to ten digits: each of these
                    words is of all who were created in the same second, ten seconds, hundred seconds, and so on
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString, NamedTuple

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = 10**6
_DIGITS: Final = 16  # until the year 2286
_FEWEST, _MOST = 2, 10  # digits of what is not a single microsecond

PLACED: Final[LiteralString] = """
    WITH a, toLower(replace(a.tenant_id, '-', '')) AS word,
        right('0000000000000000' + toString(a.created_at.epochSeconds * 1000000 + a.created_at.microsecond), 16) AS at
    SET a.tenant_word = word,
        a.place = reduce(words = word + at, digits IN range(2, 10) | words + ' ' + word + left(at, digits))
"""
"""The end of a statement that has agents `a`, of which an earlier release wrote neither."""


class Window(NamedTuple):
    """Agents that were created from one moment to another, both of them within."""

    oldest: int
    newest: int


def tenant_word(tenant_id: str) -> str:
    """Letters and digits only: at anything else the index would cut it."""
    return tenant_id.replace("-", "").lower()


def moment(at: datetime) -> int:
    """In microseconds."""
    return (at - _EPOCH) // _MICROSECOND


def place(tenant_id: str, at: int) -> str:
    """Of an agent that was created at this moment."""
    word, digits = tenant_word(tenant_id), f"{at:0{_DIGITS}}"
    return " ".join([word + digits, *(word + digits[:length] for length in range(_FEWEST, _MOST + 1))])


def clauses(tenant_id: str, window: Window) -> Iterator[str]:
    """For Lucene, any of which an agent in the window meets, and no other: words, and ranges within a second.

    Never more than two hundred, however wide it is.
    """
    word = tenant_word(tenant_id)
    first, last = window.oldest // _SECOND, window.newest // _SECOND
    if first == last:
        yield _range(word, *window)
        return
    if window.oldest % _SECOND:
        first += 1
        yield _range(word, window.oldest, first * _SECOND - 1)
    if (window.newest + 1) % _SECOND:
        yield _range(word, last * _SECOND, window.newest)
        last -= 1
    yield from (f"place:{word}{digits}" for digits in _seconds(first, last))


def _range(word: str, oldest: int, newest: int) -> str:
    return f"place:[{word}{oldest:0{_DIGITS}} TO {word}{newest:0{_DIGITS}}]"


def _seconds(first: int, last: int) -> Iterator[str]:
    """From one to the other by their first digits: as few as there can be."""
    while first <= last:
        step, length = 1, _MOST
        while length > _FEWEST and first % (10 * step) == 0 and first + 10 * step - 1 <= last:
            step, length = 10 * step, length - 1
        yield f"{first // step:0{length}}"
        first += step
