"""Where a file lies among the blobs, each tenant's apart.

    files/<tenant>/<id>/upload      what was said of it; it is there as long as the file is
    files/<tenant>/<id>/parts/<n>   its bytes from the `n`th on
    files/<tenant>/<id>/ready       what it turned out to be, once it is whole
    unfinished/<tenant>/<id>        that it may have to be swept away: not whole yet, or being deleted

No blob is written twice, so two who upload at one place find out at the first.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import orjson

from services.vectors.domain import Blob
from services.vectors.files.domain import FileStatus, Part, StoredFile, Upload, in_a_row
from services.vectors.ports import Blobs
from shared.errors import StorageFull

_READ_AT_ONCE: Final = 8
_UPLOAD, _PARTS, _READY = "upload", "parts/", "ready"


class FileRepository:
    """Every path has the tenant. Raises what `Blobs` does."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def begin(self, tenant_id: str, file_id: str, upload: Upload) -> bool:
        """False, and nothing changed, when the tenant has a file of that id already."""
        await self._blobs.put(_unfinished(tenant_id, file_id), b"")
        return await self._blobs.put(f"{_folder(tenant_id, file_id)}/{_UPLOAD}", _written(upload))

    async def put_part(self, tenant_id: str, file_id: str, offset: int, content: bytes) -> bool:
        """False, and nothing changed, when there is a part at `offset`."""
        return await self._blobs.put(_part(tenant_id, file_id, offset), content)

    async def get_part(self, tenant_id: str, file_id: str, offset: int) -> bytes | None:
        return await self._blobs.get(_part(tenant_id, file_id, offset))

    async def finish(self, file: StoredFile, length: int, media_type: str) -> bool:
        """It is ready. False, and nothing changed, when it was already."""
        ready = {"bytes": length, "media_type": media_type}
        is_first = await self._blobs.put(f"{_folder(file.tenant_id, file.id)}/{_READY}", _written(file.upload, **ready))
        await self._blobs.delete(_unfinished(file.tenant_id, file.id))
        return is_first

    async def find(self, tenant_id: str, file_id: str) -> StoredFile | None:
        """The tenant's file of that id, whole or not."""
        return await self._file(tenant_id, file_id, await self._blobs.list(_folder(tenant_id, file_id)))

    async def sizes(self, tenant_id: str) -> dict[str, int]:
        """The bytes of each of the tenant's files, by id; of one that is not whole as many as it is to have."""
        found = await self._by_id(tenant_id)
        sizes = {one: sum(blob.bytes for blob in blobs if f"/{_PARTS}" in blob.path) for one, blobs in found.items()}
        unready = {one: blobs for one, blobs in found.items() if not any(_is(blob, _READY) for blob in blobs)}
        lengths = {file.id: file.upload.length or 0 for file in await self._files(tenant_id, unready)}
        return {one: max(size, lengths.get(one, 0)) for one, size in sizes.items()}

    async def list_page(self, tenant_id: str, *, after: str | None, limit: int) -> list[StoredFile]:
        """By id, those after `after`."""
        found = await self._by_id(tenant_id)
        ids = sorted(one for one in found if after is None or one > after)[:limit]
        return await self._files(tenant_id, {one: found[one] for one in ids})

    async def remove(self, tenant_id: str, file_id: str) -> None:
        """Nothing happens when it is gone. What breaks off is swept away later, but where the disk was full."""
        folder = _folder(tenant_id, file_id)
        with suppress(StorageFull):  # whoever deletes makes room
            await self._blobs.put(_unfinished(tenant_id, file_id), b"")
        await self._blobs.delete(f"{folder}/{_UPLOAD}")
        await self._blobs.delete(folder)
        await self._blobs.delete(_unfinished(tenant_id, file_id))

    async def remove_strays(self, tenant_id: str, file_id: str) -> None:
        """What is there of a file that is deleted; nothing happens to one that is not."""
        if await self.find(tenant_id, file_id) is None:
            await self.remove(tenant_id, file_id)

    async def list_unfinished(self, before: datetime) -> list[tuple[str, str]]:
        """Of all tenants, with the id of each: what began, or was to be deleted, before then."""
        marks = await self._blobs.list("unfinished")
        found = [mark.path.split("/")[1:] for mark in marks if mark.modified_at < before]
        return [(tenant_id, file_id) for tenant_id, file_id in found]

    async def unmark(self, tenant_id: str, file_id: str) -> None:
        """It need not be swept away."""
        await self._blobs.delete(_unfinished(tenant_id, file_id))

    async def _by_id(self, tenant_id: str) -> dict[str, list[Blob]]:
        found: defaultdict[str, list[Blob]] = defaultdict(list)
        for blob in await self._blobs.list(f"files/{tenant_id}"):
            found[blob.path.split("/")[2]].append(blob)
        return {one: blobs for one, blobs in found.items() if any(_is(blob, _UPLOAD) for blob in blobs)}

    async def _files(self, tenant_id: str, found: dict[str, list[Blob]]) -> list[StoredFile]:
        turns = asyncio.Semaphore(_READ_AT_ONCE)

        async def read(file_id: str) -> StoredFile | None:
            async with turns:
                return await self._file(tenant_id, file_id, found[file_id])

        files = await asyncio.gather(*map(read, sorted(found)))
        return [file for file in files if file is not None]

    async def _file(self, tenant_id: str, file_id: str, blobs: Sequence[Blob]) -> StoredFile | None:
        folder = f"{_folder(tenant_id, file_id)}/"
        sizes = {blob.path.removeprefix(folder): blob.bytes for blob in blobs}
        if _UPLOAD not in sizes:
            return None
        told = await self._blobs.get(folder + (_READY if _READY in sizes else _UPLOAD))
        if told is None:
            return None  # deleted since it was listed
        said = orjson.loads(told)
        parts = [Part(int(at.removeprefix(_PARTS)), size) for at, size in sizes.items() if at.startswith(_PARTS)]
        is_ready = _READY in sizes
        upload = _read(said)
        return StoredFile(
            file_id,
            tenant_id,
            upload,
            FileStatus.READY if is_ready else FileStatus.UPLOADING,
            said.get("media_type"),
            in_a_row(parts, said["bytes"] if is_ready else upload.length),
        )


def _is(blob: Blob, name: str) -> bool:
    return blob.path.endswith(f"/{name}")


def _folder(tenant_id: str, file_id: str) -> str:
    return f"files/{tenant_id}/{file_id}"


def _unfinished(tenant_id: str, file_id: str) -> str:
    return f"unfinished/{tenant_id}/{file_id}"


def _part(tenant_id: str, file_id: str, offset: int) -> str:
    return f"{_folder(tenant_id, file_id)}/{_PARTS}{offset:020}"


def _written(upload: Upload, **more: Any) -> bytes:
    return orjson.dumps({**{name: getattr(upload, name) for name in Upload.__slots__}, **more})


def _read(said: dict[str, Any]) -> Upload:
    times = {name: datetime.fromisoformat(said[name]) for name in ("created_at", "expires_at")}
    return Upload(said["name"], said["length"], of=said["of"], **times)
