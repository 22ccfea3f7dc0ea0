"""What tasks says to PostgreSQL and to RabbitMQ, message by message, and which messages are moments of a task's way."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

_STATEMENTS: Final = {
    "submit": b"INSERT INTO task (",
    "forget": b"DELETE FROM outbox",
    "claim": b"INSERT INTO task_attempt",
    "settle": b"ended AS",
}
"""By what each moment's statement is known."""
_SSL_REQUEST: Final = 80877103
_METHOD: Final = 1
_ASKED: Final = {(60, 40): "publish", (60, 80): "ack"}
_ANSWERED: Final = {(60, 60): "deliver", (60, 80): "confirm"}
_PROTOCOL_HEADER_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Said:
    """One whole message, and the moment that it is; none for most."""

    raw: bytes
    moment: str = ""


class Talk(Protocol):
    """One connection. Bytes come in as they come, and whole messages out."""

    def asked(self, chunk: bytes) -> Iterator[Said]:
        """What the client said."""

    def answered(self, chunk: bytes) -> Iterator[Said]:
        """What the server said."""


class PostgresTalk:
    """Moments: `submit`, `forget`, `claim` and `settle` as asked, and the `commit` and `committed` of each.

    `forget` is the deletion of what was published. asyncpg prepares a statement once and then runs it by its name. A
    statement that is a transaction of its own is committed by the Sync behind it, which is answered as idle.
    """

    def __init__(self) -> None:
        self._asked, self._answered = bytearray(), bytearray()
        self._has_begun = False
        self._refusals = 0  # of TLS that are to come, a byte each
        self._prepared: dict[bytes, str] = {}
        self._under_way, self._is_explicit = "", False

    def asked(self, chunk: bytes) -> Iterator[Said]:
        self._asked += chunk
        yield from self._opening()
        if self._has_begun:
            for message in _typed(self._asked):
                yield Said(message, self._moment(message[:1], message[5:]))

    def _opening(self) -> Iterator[Said]:
        """Messages before the first that has a type."""
        while not self._has_begun and len(self._asked) >= 8:
            size, code = int.from_bytes(self._asked[:4]), int.from_bytes(self._asked[4:8])
            if len(self._asked) < size:
                return
            self._refusals += code == _SSL_REQUEST
            self._has_begun = code != _SSL_REQUEST
            yield Said(_taken(self._asked, size))

    def _moment(self, kind: bytes, body: bytes) -> str:
        match kind:
            case b"P":
                name, statement, _ = body.split(b"\0", 2)
                self._prepared[name] = _meaning(statement)
            case b"B":
                _, name, _ = body.split(b"\0", 2)
                meaning = self._prepared.get(name, "")
                self._under_way = meaning or self._under_way
                return meaning
            case b"Q" if body.startswith(b"BEGIN"):
                self._under_way, self._is_explicit = "", True
            case b"Q" if body.startswith(b"COMMIT") and self._under_way:
                return f"commit {self._under_way}"
            case b"S" if self._under_way and not self._is_explicit:
                return f"commit {self._under_way}"
        return ""

    def answered(self, chunk: bytes) -> Iterator[Said]:
        self._answered += chunk
        while self._refusals and self._answered:
            assert self._answered[:1] == b"N", "what is encrypted cannot be read on its way"
            self._refusals -= 1
            yield Said(_taken(self._answered, 1))
        for message in _typed(self._answered):
            moment = f"committed {self._under_way}" if self._under_way and self._is_commit(message) else ""
            if message[:1] == b"Z" and message[5:] == b"I":
                self._under_way, self._is_explicit = "", False
            yield Said(message, moment)

    def _is_commit(self, message: bytes) -> bool:
        """Of a transaction that was begun, or of a statement that is one."""
        if self._is_explicit:
            return message[:1] == b"C" and message[5:] == b"COMMIT\0"
        return message[:1] == b"Z" and message[5:] == b"I"


class RabbitTalk:
    """Moments: `publish` and `ack` as asked, `deliver` and `confirm` as answered."""

    def __init__(self) -> None:
        self._asked, self._answered = bytearray(), bytearray()
        self._has_begun = False

    def asked(self, chunk: bytes) -> Iterator[Said]:
        self._asked += chunk
        if not self._has_begun and len(self._asked) >= _PROTOCOL_HEADER_BYTES:
            self._has_begun = True
            yield Said(_taken(self._asked, _PROTOCOL_HEADER_BYTES))
        if self._has_begun:
            for frame in _frames(self._asked):
                yield Said(frame, _method(frame, _ASKED))

    def answered(self, chunk: bytes) -> Iterator[Said]:
        self._answered += chunk
        for frame in _frames(self._answered):
            yield Said(frame, _method(frame, _ANSWERED))


def _meaning(statement: bytes) -> str:
    return next((moment for moment, piece in _STATEMENTS.items() if piece in statement), "")


def _method(frame: bytes, moments: dict[tuple[int, int], str]) -> str:
    if frame[0] != _METHOD:
        return ""
    return moments.get((int.from_bytes(frame[7:9]), int.from_bytes(frame[9:11])), "")


def _typed(buffer: bytearray) -> Iterator[bytes]:
    """Messages of PostgreSQL: a type, four bytes of length, which counts itself."""
    while len(buffer) >= 5 and len(buffer) > (size := int.from_bytes(buffer[1:5])):
        yield _taken(buffer, size + 1)


def _frames(buffer: bytearray) -> Iterator[bytes]:
    """Frames of AMQP: seven bytes with the length, what they hold, and an end."""
    while len(buffer) >= 7 and len(buffer) >= (size := int.from_bytes(buffer[3:7]) + 8):
        yield _taken(buffer, size)


def _taken(buffer: bytearray, size: int) -> bytes:
    taken = bytes(buffer[:size])
    del buffer[:size]
    return taken
