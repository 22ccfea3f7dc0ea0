"""Puts away what comes of a file, a part at a time, so that no more of it than that is ever in memory."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect

from services.vectors.files.domain import PART_BYTES
from shared.errors import TooLarge

_PUT_SECONDS: Final = 10.0
"""What comes slowly is put away by then, so that a line of any pace gets on although a request has an end."""
Put = Callable[[int, bytes], Awaitable[None]]


async def take_in(chunks: AsyncIterator[bytes], put: Put, *, most: int, at: int = 0, is_kept: bool = False) -> int:
    """Have `put` put away what comes from the offset `at` on; the offset where it ends.

    No part reaches from one MiB of the file into the next. With `is_kept` what has come is put away although its sender
    has gone, and every ten seconds; without it parts begin at the same offsets whatever the pace. Raises TooLarge once
    more than up to `most` has come.
    """
    waiting, put_at = bytearray(), time.monotonic()
    try:
        async for chunk in chunks:
            if at + len(waiting) + len(chunk) > most:
                raise TooLarge(f"The file may have {most:,} bytes.")
            waiting += chunk
            while len(waiting) >= (room := PART_BYTES - at % PART_BYTES) or (
                is_kept and waiting and time.monotonic() - put_at > _PUT_SECONDS
            ):
                part = bytes(waiting[:room])
                del waiting[:room]
                await put(at, part)
                at, put_at = at + len(part), time.monotonic()
    except ClientDisconnect:
        if is_kept and waiting:
            await put(at, bytes(waiting))
        raise
    if waiting:
        await put(at, bytes(waiting))
    return at + len(waiting)
