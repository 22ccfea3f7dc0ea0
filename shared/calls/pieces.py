"""Bodies that are sent a little at a time: megabytes in one keep everybody else in the process waiting."""

from collections.abc import AsyncIterable, AsyncIterator

_PIECE_BYTES = 64 * 2**10


def in_pieces(body: bytes) -> bytes | AsyncIterable[bytes]:
    """`body` as a request's content: itself where it is short. Who sends it tells its length by a header."""
    return body if len(body) <= _PIECE_BYTES else _Pieces(body)


class _Pieces:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._body), _PIECE_BYTES):
            yield self._body[at : at + _PIECE_BYTES]
