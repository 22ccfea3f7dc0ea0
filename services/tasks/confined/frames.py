"""What the worker and a confined program say to each other: frames, each with what it is and its length before it."""

from typing import IO, Any, Final

import orjson

from services.tasks.confined.ends import End, Refused

DATA: Final = b"d"
END: Final = b"e"
REFUSED: Final = b"r"
ENDED_BY: Final = b"x"
HEAD_BYTES: Final = 9
MOST_BYTES: Final = 64 * 2**20
"""That the worker takes in one: what runs inside may have been taken over."""


def encoded(kind: bytes, body: bytes = b"") -> bytes:
    return kind + len(body).to_bytes(HEAD_BYTES - 1, "big") + body


def head_of(raw: bytes) -> tuple[bytes, int]:
    """What a frame is, and the bytes of its body."""
    return raw[:1], int.from_bytes(raw[1:], "big")


class Talk:
    """The program's side."""

    def __init__(self, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    def take(self) -> bytes | None:
        """What comes next; None when that is the end. Raises EOFError where the worker has gone."""
        raw = self._incoming.read(HEAD_BYTES)
        if len(raw) < HEAD_BYTES:
            raise EOFError
        kind, length = head_of(raw)
        return self._incoming.read(length) if kind == DATA else None

    def give(self, body: bytes) -> None:
        """Say `body`, which the worker hears at once. Raises BrokenPipeError where it has gone."""
        self._put(DATA, body)

    def end(self) -> None:
        """All is done."""
        self._put(END)

    def refuse(self, refused: Refused) -> None:
        self._put(REFUSED, orjson.dumps({"code": refused.code, "detail": refused.detail}))

    def end_by(self, end: End, cause: str = "") -> None:
        """`cause` is for the worker's log."""
        self._put(ENDED_BY, orjson.dumps({"end": end, "cause": cause}))

    def _put(self, kind: bytes, body: bytes = b"") -> None:
        self._outgoing.write(encoded(kind, body))
        self._outgoing.flush()


def told(body: bytes) -> dict[str, Any]:
    """What a frame says that is no data."""
    said: dict[str, Any] = orjson.loads(body)
    return said
