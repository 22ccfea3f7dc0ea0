"""Bodies that are too large for memory, on their way to the disk."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from services.tasks.disk import append
from services.tasks.errors import PermanentFailure

_WRITTEN_AT_ONCE = 2**20  # bytes: a hop to a thread for each piece would cost more than the write
_READ_AT_ONCE = 2**18


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
            await asyncio.to_thread(append, to, held)
            held = bytearray()
    await asyncio.to_thread(append, to, held)
    return size


class FileForm:
    """A file as the one field of a form (RFC 7578), read as it is sent; it can be sent again from its beginning."""

    def __init__(self, name: str, source: Path, media_type: str) -> None:
        """Looks at the disk. `name` may hold any characters."""
        boundary = secrets.token_hex(16)
        self._source = source
        # As browsers write it (WHATWG HTML, multipart/form-data): UTF-8, with what would end the name escaped.
        escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{escaped}"\r\n'
        self._head = f"{head}Content-Type: {media_type}\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + source.stat().st_size + len(self._tail)),
        }

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._head
        file: IO[bytes] = await asyncio.to_thread(self._source.open, "rb")
        try:
            while piece := await asyncio.to_thread(file.read, _READ_AT_ONCE):
                yield piece
        finally:
            file.close()
        yield self._tail
