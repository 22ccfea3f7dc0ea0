"""How much a body may hold, counted in its bytes before anything is made of them.

A body of a few megabytes can hold a million members, and each costs a parser and a validator a thousand times what it
cost to send. So a route says what fits it, and what does not fit is refused after a few passes over the bytes.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from shared.errors import Invalid, TooLarge

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_BOUNDS = "sutazai_bounds"
_SHORT_BYTES = 4 * 2**10
_PART_BYTES = 2**20
_BRACKETS = b"[]{}"
_NEITHER_BRACKETS_NOR_COMMAS = bytes(byte for byte in range(256) if byte not in b"[]{},")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in _BRACKETS)


class TooComplex(Invalid):
    code = "common.too_complex"
    meaning = "The body holds more values or texts than the operation takes, or they stand too deep in each other."


class Bounds(NamedTuple):
    """What a body may have at most.

    `values` counts members of objects and items of lists, `texts` the strings. A route that takes many numbers also
    says how many objects and lists hold them (`holders`), and how many stand in a `row` with none of these between
    them: a million values in one list cost a parser more than in a thousand, and a million empty lists more still.
    """

    kib: int = 64
    values: int = 1_000
    texts: int = 2_000
    depth: int = 16
    holders: int | None = None
    row: int | None = None

    def require_length(self, length: int) -> None:
        """Raises TooLarge."""
        if length > self.kib * 2**10:
            raise TooLarge(f"The request body may have {self.kib:,} KiB here.")

    def require_shape(self, body: bytes) -> None:
        """Raises TooComplex. Takes any bytes, also such as are no JSON.

        Every pass runs in C, a MiB at a time, and makes no object for a value.
        """
        # Counted with what stands in texts, the usual body is done. A short one has no room: two bytes are a value.
        few = self.values if self.row is None else self.row
        if _count(b"[{", body) <= self.depth and (
            len(body) < 2 * min(few, self.texts) or (_values(body) <= few and _count(b'"', body) <= 2 * self.texts)
        ):
            return
        outside = self._outside_texts(body)
        if _values(outside) > self.values:
            raise TooComplex(f"The request body may hold {self.values:,} members and items here.")
        if self.holders is not None and _count(b"[{", outside) > self.holders:
            raise TooComplex(f"The request body may hold {self.holders:,} lists and objects here.")
        if self.row is not None and b"," * self.row in _without(_NEITHER_BRACKETS_NOR_COMMAS, outside):
            raise TooComplex(f"A list or object may hold {self.row:,} values here.")
        if _depth(outside, beyond=self.depth) > self.depth:
            raise TooComplex(f"The request body may be {self.depth} levels deep here.")

    def _outside_texts(self, body: bytes) -> bytes:
        """Raises TooComplex."""
        quotes, outside = 0, []
        for part in _between_escapes(body):
            # What is left of `\\` and then of `\"` are the quotes that begin and end a text.
            bare = part.replace(rb"\\", b"").replace(rb"\"", b"")
            begins_inside = quotes % 2
            quotes += _count(b'"', bare)
            if quotes > 2 * self.texts:
                raise TooComplex(f"The request body may hold {self.texts:,} texts here.")
            outside += bare.split(b'"')[begins_inside::2]
        return b"".join(outside)


def takes(**bounds: int) -> Callable[[Endpoint], Endpoint]:
    """Below a route whose body may hold more, or less, than the usual: `takes(kib=1024)`."""

    def bounded(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _BOUNDS, Bounds(**bounds))
        return endpoint

    return bounded


def bounds_of(endpoint: Callable[..., Any]) -> Bounds:
    """The bounds of the body of `endpoint`."""
    found: Bounds = getattr(endpoint, _BOUNDS, Bounds())
    return found


def _values(text: bytes) -> int:
    """Members and items: each is the first after a bracket, or follows a comma."""
    return _count(b"[{,", text)


def _count(any_of: bytes, text: bytes) -> int:
    """Takes as long however many there are, as `bytes.count` does not, which is faster for the usual short text."""
    if len(text) <= _SHORT_BYTES:
        return sum([text.count(byte) for byte in any_of])
    return len(text) - len(_without(any_of, text))


def _without(any_of: bytes, text: bytes) -> bytes:
    """In parts: a pass over megabytes in one would keep everybody else in this process waiting."""
    parts = [text[at : at + _PART_BYTES].translate(None, any_of) for at in range(0, len(text), _PART_BYTES)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _between_escapes(text: bytes) -> Iterator[bytes]:
    """The text in parts, none of which ends within an escape."""
    at = 0
    while at < len(text):
        part = text[at : at + _PART_BYTES]
        slashes = len(part) - len(part.rstrip(b"\\"))  # in pairs from the first on, which no part before has cut
        if slashes % 2 and at + len(part) < len(text):
            part = part[:-1]
        yield part
        at += len(part)


def _depth(text: bytes, beyond: int) -> int:
    """How deep its brackets stand in each other, or any number above `beyond`."""
    brackets = _without(_NO_BRACKETS, text).replace(b"{", b"[").replace(b"}", b"]")
    for depth in range(beyond + 1):  # the innermost pairs are taken away, level by level
        if b"[" not in brackets:
            return depth
        if b"[" * (beyond + 1 - depth) in brackets:  # so deep at once: a pass for each level would take longest here
            return beyond + 1
        brackets = brackets.replace(b"[]", b"")
    return beyond + 1
