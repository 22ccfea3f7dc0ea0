"""Joins pieces of text that arrive close together, so that a fast model does not cost an event for each token."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from itertools import groupby

from services.chat.generation import Completion, Piece, Reasoning
from shared.ending import end


class Coalesced:
    """A generation, read by a task of its own. After the last piece `completion` tells how it ended."""

    def __init__(self, source: AsyncGenerator[Piece | Completion, None], window_seconds: float) -> None:
        self._source = source
        self._window_seconds = window_seconds
        self._pieces: list[Piece] = []
        self._arrived = asyncio.Event()
        self.completion: Completion | None = None

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """The first piece at once, then what came within a window as one, text and thought each of its own and in their
        order. Closing this stops the generation."""
        reading = asyncio.create_task(self._read())
        try:
            while self._pieces or not reading.done():
                await self._arrived.wait()
                self._arrived.clear()
                if self._pieces:
                    pieces, self._pieces = self._pieces, []
                    for piece in joined(pieces):
                        yield piece
                    if not reading.done():
                        await asyncio.wait({reading}, timeout=self._window_seconds)
            await reading
        finally:
            await end(reading)
            if not reading.cancelled() and reading.done():
                reading.exception()  # raised above, or of no interest to whoever stopped reading

    async def _read(self) -> None:
        try:
            async with aclosing(self._source) as items:
                async for item in items:
                    if isinstance(item, Completion):
                        self.completion = item
                    else:
                        self._pieces.append(item)
                        self._arrived.set()
        finally:
            self._arrived.set()


def joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Neighbours of a kind as one."""
    for is_thought, some in groupby(pieces, lambda piece: isinstance(piece, Reasoning)):
        text = "".join(piece.text if isinstance(piece, Reasoning) else piece for piece in some)
        yield Reasoning(text) if is_thought else text
