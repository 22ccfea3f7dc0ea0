"""The commands that Edge's process is given: those that wait are taken together, as far as it may be."""

import io
import select
from collections.abc import Iterable
from typing import Final

import orjson

from services.vectors.adapters.edge_protocol import HEADER_BYTES, Message, lengths

_TOGETHER: Final = 32
_TOGETHER_BYTES: Final = 2**20
"""Of more commands, or larger ones, the first would be answered late."""

Frame = tuple[Message, bytes]


class Intake:
    """Frames from a pipe, read without a buffer: so whether another waits is what the pipe says."""

    def __init__(self, descriptor: int) -> None:
        self._pipe = io.FileIO(descriptor, closefd=False)

    def waiting(self) -> list[Frame]:
        """At least one, and those that came meanwhile; none once the pipe has ended."""
        frames: list[Frame] = []
        size = 0
        while not frames or (len(frames) < _TOGETHER and size < _TOGETHER_BYTES and self._has_more()):
            taken = self._read()
            if taken is None:
                break
            frame, length = taken
            frames.append(frame)
            size += length
        return frames

    def _has_more(self) -> bool:
        return bool(select.select([self._pipe], [], [], 0)[0])

    def _read(self) -> tuple[Frame, int] | None:
        """One, and its bytes."""
        header = self._exactly(HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            return None
        body, blob = lengths(header)
        return (orjson.loads(self._exactly(body)), self._exactly(blob)), body + blob

    def _exactly(self, size: int) -> bytes:
        """Fewer only where the pipe ends."""
        read = bytearray(size)
        at, left = 0, memoryview(read)
        while at < size and (more := self._pipe.readinto(left[at:])):
            at += more
        left.release()
        return bytes(read[:at])


def by_shard(frames: Iterable[Frame]) -> list[list[Frame]]:
    """Those about one shard together, in their order; first the shard that was named first."""
    found: dict[str, list[Frame]] = {}
    for frame in frames:
        found.setdefault(frame[0].get("name", ""), []).append(frame)
    return list(found.values())
