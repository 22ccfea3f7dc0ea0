"""Bodies that are too large for memory, on their way to the disk."""

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path

from services.tasks.errors import PermanentFailure
from shared.errors import StorageFull

_WRITTEN_AT_ONCE = 2**20  # bytes: a hop to a thread for each piece would cost more than the write
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


async def written(pieces: AsyncIterator[bytes], to: Path, *, most_bytes: int) -> int:
    """Write `pieces` into the new file `to`; the number of bytes. Raises PermanentFailure beyond `most_bytes`.

    Raises StorageFull for a full disk, and whatever `pieces` raise.
    """
    size, held = 0, bytearray()
    async for piece in pieces:
        size += len(piece)
        if size > most_bytes:
            raise PermanentFailure("tasks.file_too_large", f"The file has more than {most_bytes} bytes.")
        held += piece
        if len(held) >= _WRITTEN_AT_ONCE:
            await asyncio.to_thread(_append, to, held)
            held = bytearray()
    await asyncio.to_thread(_append, to, held)
    return size


def _append(to: Path, piece: bytearray) -> None:
    try:
        with to.open("ab") as file:
            file.write(piece)
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("tasks") from error
        raise
