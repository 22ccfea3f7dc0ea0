"""The answer of a user's address, read within bounds: of time, of bytes on the wire, of bytes unpacked."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

from shared.outbound.failures import AnswerBroken, OutboundTimeout

_PIECE_BYTES: Final = 64 * 1024
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Content:
    """A whole answer, or what was read of one that is longer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool


class Answer:
    """An answer whose head is here. Whoever has it closes it."""

    def __init__(
        self, session: aiohttp.ClientSession, response: aiohttp.ClientResponse, *, end_at: float, most_bytes: int
    ) -> None:
        self._session, self._response = session, response
        self._end_at, self._most_bytes = end_at, most_bytes
        self.status = response.status
        self.headers = response.headers
        self.is_cut = False
        """Whether there was more than may be read; known when the pieces have ended."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, unpacked, up to its bound. Raises OutboundTimeout, AnswerBroken."""
        unpack = _unpacking(self._response.headers.get("content-encoding", "identity"))
        packed, left = 0, self._most_bytes
        while not self.is_cut and (raw := await self._next()):
            packed += len(raw)
            for piece in unpack(raw):
                self.is_cut = len(piece) > left
                yield piece[:left]
                left = max(0, left - len(piece))
                if self.is_cut:
                    return
            self.is_cut = packed > self._most_bytes

    async def content(self) -> Content:
        """All of it, up to its bound. Raises OutboundTimeout, AnswerBroken."""
        body = b"".join([piece async for piece in self.pieces()])
        return Content(self.status, self.headers, body, self.is_cut)

    async def close(self) -> None:
        """Let the connection go, whatever is left unread."""
        self._response.close()
        await self._session.close()

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout_at(self._end_at):
                return await self._response.content.read(_PIECE_BYTES)
        except TimeoutError as error:
            raise OutboundTimeout from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise AnswerBroken from error


class _Unpacker:
    """Gives out what was packed in pieces of a bounded size, whatever it expands to."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)

    def __call__(self, raw: bytes) -> Iterator[bytes]:
        while raw:
            try:
                piece = self._stream.decompress(raw, _PIECE_BYTES)
            except zlib.error as error:
                raise AnswerBroken from error
            raw = self._stream.unconsumed_tail
            if piece:
                yield piece
            elif self._stream.eof:
                return


def _as_it_is(raw: bytes) -> Iterator[bytes]:
    yield raw


def _unpacking(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    """Nothing packed was asked for; some servers pack all the same."""
    match encoding.strip().lower():
        case "" | "identity":
            return _as_it_is
        case "gzip" | "x-gzip" | "deflate":
            return _Unpacker()
    raise AnswerBroken("The server packed its answer in a way that was not asked for.")
