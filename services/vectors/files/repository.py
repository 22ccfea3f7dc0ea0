"""Where a file lies among the blobs, each tenant's apart; its bytes lie in `parts.py`, its marks in `marks.py`.

    files/<tenant>/<id>      what was said of it, and the place of its bytes; it is there as long as the file is
    ready/<tenant>/<place>   what it turned out to be, once it is whole; or that it was refused, and is to be deleted

No blob is written twice. What a tenant has is a list of one key for each file, however many parts they came in.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from cachetools import LRUCache

from services.vectors.domain import Blob
from services.vectors.files.domain import DEFAULT_PURPOSE, FileStatus, StoredFile, Upload, parts_of
from services.vectors.files.errors import FileNotFound
from services.vectors.files.marks import Mark, MarkKind, Marks
from services.vectors.files.parts import Parts
from services.vectors.ports import Blobs
from services.vectors.together import AT_ONCE, each
from shared.errors import StorageFull

_KNOWN: Final = 50_000
_REFUSED: Final = "refused"
_SETTLED: Final = timedelta(minutes=1)
"""A blob that is deleted and made anew after so long has another time, whatever the store counts it in."""


class FileRepository:
    """Every path has the tenant. Raises what `Blobs` does."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._sizes: LRUCache[tuple[str, datetime], int] = LRUCache(_KNOWN)
        self._purposes: LRUCache[tuple[str, datetime], str] = LRUCache(_KNOWN)
        self.parts = Parts(blobs)
        self.marks = Marks(blobs)

    async def begin(self, tenant_id: str, file_id: str, upload: Upload) -> bool:
        """False, and nothing changed, when the tenant has a file of that id already."""
        mark = Mark(MarkKind.UNFINISHED, tenant_id, file_id, upload.place)
        await self.marks.put(mark)
        is_new = await self._blobs.put(_file(tenant_id, file_id), _written(upload))
        if is_new:
            return True
        found = await self._upload(tenant_id, file_id)
        if found is not None and found.place == upload.place:  # ours: a bucket that was asked twice told of the second
            return True
        await self.marks.delete(mark)
        return False

    async def find(self, tenant_id: str, file_id: str) -> StoredFile | None:
        """The tenant's file of that id, whole or not."""
        upload = await self._upload(tenant_id, file_id)
        if upload is None:
            return None
        ready = await self._ready(tenant_id, upload.place)
        if ready is None:
            row = await self.parts.row(tenant_id, upload.place, upload.length)
            return StoredFile(file_id, tenant_id, upload, FileStatus.UPLOADING, None, row)
        if _REFUSED in ready:
            return None
        parts, purpose = parts_of(ready["bytes"], ready["joined"]), ready.get("purpose", DEFAULT_PURPOSE)
        return StoredFile(file_id, tenant_id, upload, FileStatus.READY, ready["media_type"], parts, purpose)

    async def read(self, file: StoredFile, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, a MiB at most at a time. Raises FileNotFound where it is deleted."""
        for part in file.parts:
            if part.end <= start or part.offset >= end:
                continue
            content = await self.parts.get(file.tenant_id, file.upload.place, part)
            if content is None:
                raise FileNotFound(file.id)
            yield content[max(0, start - part.offset) : end - part.offset]

    async def finish(self, file: StoredFile, media_type: str, purpose: str | None = None) -> bool:
        """It is ready, each MiB of it in one. False, and nothing changed, when it was already, or is refused."""
        told = {
            "bytes": file.received,
            "media_type": media_type,
            "joined": [part.offset for part in file.parts if part.is_joined],
            **({} if purpose is None else {"purpose": purpose}),
        }
        is_first = await self._blobs.put(_whole(file.tenant_id, file.upload.place), orjson.dumps(told))
        if is_first or await self._is_ready(file):
            await self._unmark(file.tenant_id, file.id, file.upload.place)
        return is_first

    async def sizes(self, tenant_id: str) -> dict[str, int]:
        """The bytes of each of the tenant's files, by id; of one that is not whole as many as it may come to."""

        async def size(blob: Blob) -> int | None:
            key = (blob.path, blob.modified_at)
            known: int | None = self._sizes.get(key)
            if known is not None:
                return known
            found, is_final = await self._size(tenant_id, _id(blob))
            if found is not None and is_final and _is_settled(blob):
                self._sizes[key] = found
            return found

        blobs = await self._blobs.list(f"files/{tenant_id}")
        found = zip(blobs, await each(blobs, size), strict=True)
        return {_id(blob): bytes_ for blob, bytes_ in found if bytes_ is not None}

    async def list_page(
        self,
        tenant_id: str,
        *,
        after: str | None,
        limit: int,
        newest_first: bool = False,
        is_whole: bool = False,
        purpose: str | None = None,
    ) -> list[StoredFile]:
        """By id, those after `after`, or with `newest_first` those before it.

        With `is_whole` those that are, of any purpose or of the one. Those known to be of another are not read again.
        """
        blobs = sorted(await self._blobs.list(f"files/{tenant_id}"), key=_id, reverse=newest_first)
        left = [one for one in blobs if _follows(_id(one), after, newest_first) and self._may_be_of(one, purpose)]
        page = list[StoredFile]()
        while left and len(page) < limit:  # in the place of what was deleted meanwhile come others
            number = max(limit - len(page), AT_ONCE) if is_whole else limit - len(page)
            asked, left = left[:number], left[number:]
            found = await each(asked, lambda blob: self._listed(tenant_id, blob))
            page += [file for file in found if file is not None and (not is_whole or _is_wanted(file, purpose))]
        return page[:limit]

    def _may_be_of(self, blob: Blob, purpose: str | None) -> bool:
        return purpose is None or self._purposes.get((blob.path, blob.modified_at), purpose) == purpose

    async def _listed(self, tenant_id: str, blob: Blob) -> StoredFile | None:
        file = await self.find(tenant_id, _id(blob))
        if file is not None and file.is_ready and _is_settled(blob):  # it will never be of another purpose
            self._purposes[blob.path, blob.modified_at] = file.purpose
        return file

    async def remove(self, tenant_id: str, file_id: str, place: str) -> None:
        """The file whose bytes lie there; nothing happens when it is gone. What is put there later is swept away.

        So is what breaks off, but where the disk was full.
        """
        with suppress(StorageFull):  # whoever deletes makes room
            await self.marks.put(Mark(MarkKind.DELETED, tenant_id, file_id, place))
        upload = await self._upload(tenant_id, file_id)
        if upload is not None and upload.place == place:
            await self._blobs.delete(_file(tenant_id, file_id))
        await self._blobs.delete(_whole(tenant_id, place))
        await self.parts.remove(tenant_id, place)
        await self._unmark(tenant_id, file_id, place)

    async def give_up(self, file: StoredFile) -> None:
        """As `remove`; nothing happens to one that is ready, which another made it under the same key.

        Nobody makes it so any more once it is being removed, but where the disk was full.
        """
        with suppress(StorageFull):
            await self._blobs.put(_whole(file.tenant_id, file.upload.place), orjson.dumps({_REFUSED: True}))
        if not await self._is_ready(file):
            await self.remove(file.tenant_id, file.id, file.upload.place)

    async def remove_strays(self, tenant_id: str, file_id: str, place: str) -> None:
        """What is there of a file that is deleted; nothing happens to one that is not."""
        upload = await self._upload(tenant_id, file_id)
        if upload is None or upload.place != place:
            await self.remove(tenant_id, file_id, place)

    async def _unmark(self, tenant_id: str, file_id: str, place: str) -> None:
        for kind in (MarkKind.WHOLE, MarkKind.UNFINISHED):
            await self.marks.delete(Mark(kind, tenant_id, file_id, place))

    async def _size(self, tenant_id: str, file_id: str) -> tuple[int | None, bool]:
        """Whether it will never be another, too; None of a file that is deleted."""
        upload = await self._upload(tenant_id, file_id)
        if upload is None:
            return None, True
        if upload.length is not None:
            return upload.length, True
        ready = await self._ready(tenant_id, upload.place)
        if ready is None:
            return upload.most, False
        return (None if _REFUSED in ready else ready["bytes"]), True

    async def _upload(self, tenant_id: str, file_id: str) -> Upload | None:
        told = await self._blobs.get(_file(tenant_id, file_id))
        if told is None:
            return None
        said = orjson.loads(told)
        times = {name: datetime.fromisoformat(said[name]) for name in ("created_at", "expires_at")}
        return Upload(**said | times)

    async def _is_ready(self, file: StoredFile) -> bool:
        told = await self._ready(file.tenant_id, file.upload.place)
        return told is not None and _REFUSED not in told

    async def _ready(self, tenant_id: str, place: str) -> dict[str, Any] | None:
        told = await self._blobs.get(_whole(tenant_id, place))
        return None if told is None else orjson.loads(told)


def _is_settled(blob: Blob) -> bool:
    return blob.modified_at < datetime.now(UTC) - _SETTLED


def _is_wanted(file: StoredFile, purpose: str | None) -> bool:
    return file.is_ready and purpose in (None, file.purpose)


def _follows(file_id: str, after: str | None, newest_first: bool) -> bool:
    return after is None or (file_id < after if newest_first else file_id > after)


def _id(blob: Blob) -> str:
    return blob.path.rpartition("/")[2]


def _file(tenant_id: str, file_id: str) -> str:
    return f"files/{tenant_id}/{file_id}"


def _whole(tenant_id: str, place: str) -> str:
    return f"ready/{tenant_id}/{place}"


def _written(upload: Upload) -> bytes:
    return orjson.dumps({name: getattr(upload, name) for name in Upload.__slots__})
