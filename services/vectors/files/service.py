"""The use cases around files: taking them in, whole or in pieces, finding, reading, listing and deleting them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from services.vectors.events import Done
from services.vectors.files.domain import StoredFile, Upload
from services.vectors.files.errors import FileNotFound, FileUnfinished, TooManyPieces, UploadConflict
from services.vectors.files.intake import take_in
from services.vectors.files.media_types import LOOKED_AT_BYTES, media_type_of
from services.vectors.files.multipart import OneFile
from services.vectors.files.quota import FileLimits, FileQuota, FileUsage
from services.vectors.files.repository import FileRepository
from shared.door import IdempotencyKeyReused, Once
from shared.errors import TooLarge, Unavailable, UpstreamTimeout
from shared.identity import Caller, Tells
from shared.resources import CursorCodec, Slice
from shared.schemas import new_id
from shared.storage import Storage


class FileService:
    """Built once. Every method raises what `Blobs` does, beside what it says."""

    def __init__(
        self,
        files: FileRepository,
        quota: FileQuota,
        limits: FileLimits,
        cursors: CursorCodec,
        auth: Tells,
        storage: Storage,
    ) -> None:
        self._files = files
        self._quota = quota
        self.limits = limits
        self._cursors = cursors
        self._auth = auth
        self._storage = storage
        self._clearing = set[asyncio.Task[None]]()

    # --- Taking in ----------------------------------------------------------------------------------------------------

    async def receive(self, caller: Caller, form: OneFile, told_bytes: int | None, once: Once | None) -> StoredFile:
        """The file that comes with `form`, of which `told_bytes` are to come.

        Of what breaks off nothing stays, but for its repetition under the same key. Raises QuotaExceeded, TooLarge,
        Invalid, IdempotencyKeyReused.
        """
        file_id, most = _id(once), self.limits.file_bytes if told_bytes is None else told_bytes
        async with self._quota.room(caller.tenant_id, file_id, min(most, self.limits.file_bytes)):
            upload = self._upload(form.name, None, once)
            try:
                file = await self._begun(caller, file_id, upload, once)
                return await self._received(caller, file, form, once)
            except BaseException:
                self._clear(caller.tenant_id, file_id, only_strays=once is not None)
                raise

    async def begin(self, caller: Caller, name: str, length: int, once: Once | None) -> StoredFile:
        """A file of `length` bytes that are sent in pieces. Raises TooLarge, QuotaExceeded, IdempotencyKeyReused."""
        if length > self.limits.file_bytes:
            raise TooLarge(f"A file may have {self.limits.file_bytes:,} bytes here.")
        file_id, upload = _id(once), self._upload(name, length, once)
        async with self._quota.room(caller.tenant_id, file_id, length):
            file = await self._begun(caller, file_id, upload, once)
        return file if file.is_ready or length else await self._finished(caller, file, 0)

    async def append(
        self, caller: Caller, file_id: str, offset: int, chunks: AsyncIterator[bytes], told_bytes: int | None
    ) -> StoredFile:
        """More of a file, from `offset` on; what has come is kept although its sender has gone.

        Of two at one offset, one is refused. Raises FileNotFound, UploadConflict, TooManyPieces, TooLarge.
        """
        file = await self.get(caller, file_id)
        length = file.upload.length
        if file.is_ready or length is None or offset != file.received:
            raise UploadConflict(file.received)
        if len(file.parts) >= file.most_parts:
            raise TooManyPieces(file.most_parts)
        if offset + (told_bytes or 0) > length:
            raise TooLarge(f"The file is to have {length:,} bytes, of which {length - offset:,} are missing.")

        async def put(at: int, content: bytes) -> None:
            if not await self._put_part(caller, file_id, at, content):
                raise UploadConflict(None)

        try:
            end = await take_in(chunks, put, at=offset, most=length, is_kept=True)
        except BaseException:
            self._clear(caller.tenant_id, file_id, only_strays=True)
            raise
        if end == length:
            return await self._finished(caller, file, length)
        return await self._still(caller, file_id)

    async def _begun(self, caller: Caller, file_id: str, upload: Upload, once: Once | None) -> StoredFile:
        """The file, as another has begun it where it is a repetition. Raises IdempotencyKeyReused."""
        is_new = await self._files.begin(caller.tenant_id, file_id, upload)
        file = await self._still(caller, file_id)
        if once is not None and not is_new:
            once.found(bytes.fromhex(file.upload.of))
            once.is_repetition = file.is_ready or file.upload.length is not None
        return file

    async def _received(self, caller: Caller, file: StoredFile, form: OneFile, once: Once | None) -> StoredFile:
        async def put(at: int, content: bytes) -> None:
            if not file.is_ready and await self._put_part(caller, file.id, at, content):
                return
            if await self._files.get_part(caller.tenant_id, file.id, at) != content:
                raise IdempotencyKeyReused  # nobody else knows of the id

        length = await take_in(form.chunks(), put, most=self.limits.file_bytes)
        if not file.is_ready:
            file = await self._finished(caller, file, length, once)
        if file.bytes != length:
            raise IdempotencyKeyReused
        return file

    async def _put_part(self, caller: Caller, file_id: str, at: int, content: bytes) -> bool:
        """As FileRepository does. Raises StorageFull too where the disk became nearly full while the file comes."""
        self._storage.require_room()
        return await self._files.put_part(caller.tenant_id, file_id, at, content)

    async def _finished(self, caller: Caller, file: StoredFile, length: int, once: Once | None = None) -> StoredFile:
        """It is ready, and what it is. Raises FileNotFound when it was deleted meanwhile."""
        whole = await self._still(caller, file.id)
        ends = [(0, LOOKED_AT_BYTES), (max(0, length - LOOKED_AT_BYTES), length)]
        head, tail = [b"".join([some async for some in self.read(whole, *end)]) for end in ends]
        media_type = media_type_of(file.upload.name, head, tail)
        is_first = await self._files.finish(file, length, media_type)
        found = await self._still(caller, file.id)
        if is_first:
            self._auth.tell(caller, Done.FILE_CREATED, file.id, once=file.id)
        elif once is not None:
            once.is_repetition = True
        return found

    async def _still(self, caller: Caller, file_id: str) -> StoredFile:
        """The file as it is. Raises FileNotFound, and has what came since it was deleted taken away."""
        found = await self._files.find(caller.tenant_id, file_id)
        if found is None:
            self._clear(caller.tenant_id, file_id)
            raise FileNotFound(file_id)
        return found

    def _clear(self, tenant_id: str, file_id: str, *, only_strays: bool = False) -> None:
        """Not waited for, since the request may be at its end; what is not done is swept away later.

        `only_strays` are parts that came after their file was deleted: nobody sees them, and no quota counts them.
        """
        remove = self._files.remove_strays if only_strays else self._files.remove
        task = asyncio.create_task(remove(tenant_id, file_id), name="files:clear")
        self._clearing.add(task)
        task.add_done_callback(self._cleared)

    def _cleared(self, task: "asyncio.Task[None]") -> None:
        self._clearing.discard(task)
        if not task.cancelled():
            task.exception()

    def _upload(self, name: str, length: int | None, once: Once | None) -> Upload:
        now = datetime.now(UTC)
        if once is not None:
            once.of = hashlib.sha256(f"{name}\0{'' if length is None else length}".encode()).digest()
        return Upload(name, length, now, now + self.limits.life, once.of.hex() if once else "")

    # --- What is there ------------------------------------------------------------------------------------------------

    async def get(self, caller: Caller, file_id: str) -> StoredFile:
        """Raises FileNotFound, also for an upload that has expired."""
        found = await self._files.find(caller.tenant_id, file_id)
        if found is None or (not found.is_ready and found.upload.expires_at <= datetime.now(UTC)):
            raise FileNotFound(file_id)
        if not found.is_ready and found.received == found.upload.length:
            return await self._finished(caller, found, found.received)  # whoever sent the last piece died over it
        return found

    async def get_whole(self, caller: Caller, file_id: str) -> StoredFile:
        """The same, to be read. Raises FileNotFound, FileUnfinished."""
        found = await self.get(caller, file_id)
        if not found.is_ready:
            raise FileUnfinished(found.received)
        return found

    async def read(self, file: StoredFile, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, a MiB at most at a time. Raises FileNotFound where it is deleted."""
        for part in file.parts:
            if part.end <= start or part.offset >= end:
                continue
            content = await self._files.get_part(file.tenant_id, file.id, part.offset)
            if content is None:
                raise FileNotFound(file.id)
            yield content[max(0, start - part.offset) : end - part.offset]

    async def usage(self, caller: Caller) -> FileUsage | None:
        """What the tenant's files come to; None while nobody knows. Raises nothing."""
        try:
            return await self._quota.usage(caller.tenant_id)
        except (Unavailable, UpstreamTimeout):
            return None

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Slice[StoredFile]:
        """By id, which is by age but for those that were made with a key."""
        return await self._cursors.slice(
            lambda after, most: self._files.list_page(caller.tenant_id, after=after, limit=most),
            key=lambda file: file.id,
            scope=["vectors.files", caller.tenant_id],
            limit=limit,
            cursor=cursor,
        )

    async def delete(self, caller: Caller, file_id: str) -> None:
        """Whole or not. Raises FileNotFound."""
        if await self._files.find(caller.tenant_id, file_id) is None:
            raise FileNotFound(file_id)
        await self._files.remove(caller.tenant_id, file_id)
        self._auth.tell(caller, Done.FILE_DELETED, file_id, once=file_id)


def _id(once: Once | None) -> str:
    """With a key one that a repetition has again, whatever it brings."""
    return new_id() if once is None else once.id_at(0)
