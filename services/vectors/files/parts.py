"""Where the bytes of files lie among the blobs, each file's in a place of its own.

    parts/<tenant>/<place>/<n>          from the `n`th on, as they came
    joined/<tenant>/<place>/<n>/<end>   those of the MiB that begins at `n`, up to before `end`

A part is put once, so two who send to one offset find out at the first. Parts that are small are joined, and go; the
first of a MiB stays, since a part of a whole MiB would begin there too. What is once in the row is in it for good.
"""

from collections.abc import Sequence
from typing import Final

from services.vectors.files.domain import PART_BYTES, Part, in_a_row
from services.vectors.ports import Blobs

_PARTS, _JOINED = "parts", "joined"
KINDS: Final = (_PARTS, _JOINED)


class Parts:
    """Every path has the tenant. Raises what `Blobs` does."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def put(self, tenant_id: str, place: str, offset: int, content: bytes) -> bool:
        """False, and nothing changed, when there is a part at `offset`, or was one that is joined by now."""
        path = _path(tenant_id, place, Part(offset, offset + len(content)))
        if not await self._blobs.put(path, content):
            return False
        begins = offset - offset % PART_BYTES
        if begins != offset and any(end > offset for end in await self._joined_to(tenant_id, place, begins)):
            await self._blobs.delete(path)  # which is ours: the one that was there has gone
            return False
        return True

    async def get(self, tenant_id: str, place: str, part: Part) -> bytes | None:
        return await self._blobs.get(_path(tenant_id, place, part))

    async def row(self, tenant_id: str, place: str, most: int | None) -> tuple[Part, ...]:
        """Those that follow each other from the first byte on."""
        # In this order: what has gone from among the parts by then is found joined, and so is whatever took its name.
        loose = await self._blobs.list(f"{_PARTS}/{tenant_id}/{place}")
        joined = await self._blobs.list(f"{_JOINED}/{tenant_id}/{place}")
        parts = [Part(offset := int(blob.path.split("/")[3]), offset + blob.bytes) for blob in loose]
        for blob in joined:
            *_, begins, end = blob.path.split("/")
            parts.append(Part(int(begins), int(end), is_joined=True))
        return in_a_row(parts, most)

    async def join(self, tenant_id: str, place: str, run: Sequence[Part]) -> None:
        """Have `run`, of one MiB and from its beginning on, in one. Nothing happens where another was faster."""
        first, *others = run
        contents = [await self.get(tenant_id, place, part) for part in run]
        # Looked at after the bytes: unless another has joined them, all that was read is what was put first.
        ends = await self._joined_to(tenant_id, place, first.offset)
        if max(ends, default=0) != (first.end if first.is_joined else 0):
            return
        found = [content for content in contents if content is not None]
        if len(found) < len(contents):
            return  # deleted
        whole = Part(first.offset, run[-1].end, is_joined=True)
        await self._blobs.put(_path(tenant_id, place, whole), b"".join(found))
        for part in run if first.is_joined else others:
            await self._blobs.delete(_path(tenant_id, place, part))

    async def remove(self, tenant_id: str, place: str) -> None:
        """All there is; nothing happens when nothing is."""
        for kind in KINDS:
            await self._blobs.delete(f"{kind}/{tenant_id}/{place}")

    async def _joined_to(self, tenant_id: str, place: str, begins: int) -> list[int]:
        """Up to where those of the MiB that begins there are joined."""
        blobs = await self._blobs.list(f"{_JOINED}/{tenant_id}/{place}/{_digits(begins)}")
        return [int(blob.path.rpartition("/")[2]) for blob in blobs]


def _path(tenant_id: str, place: str, part: Part) -> str:
    if part.is_joined:
        return f"{_JOINED}/{tenant_id}/{place}/{_digits(part.offset)}/{_digits(part.end)}"
    return f"{_PARTS}/{tenant_id}/{place}/{_digits(part.offset)}"


def _digits(offset: int) -> str:
    return f"{offset:020}"
