"""What worker and program say to each other: JSON, each with its length before it."""

from typing import IO, Any

import orjson

LENGTH_BYTES = 8


def encoded(body: bytes) -> bytes:
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def length(head: bytes) -> int:
    return int.from_bytes(head, "big")


def put(file: IO[bytes], value: Any) -> None:
    """Write a frame that the other side sees at once."""
    file.write(encoded(value if isinstance(value, bytes) else orjson.dumps(value)))
    file.flush()


def take(file: IO[bytes]) -> bytes | None:
    """The next frame; None at the end, which is an empty one. Raises EOFError where the other side went away."""
    head = file.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        raise EOFError
    return file.read(length(head)) or None
