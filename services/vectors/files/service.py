"""The use cases around files: taking them in, whole or in pieces, finding, reading, listing and deleting them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect

from services.vectors.events import Done
from services.vectors.files.appending import Appending
from services.vectors.files.domain import Judge, Part, StoredFile, Upload
from services.vectors.files.errors import FileNotFound, FileUnfinished, UploadConflict
from services.vectors.files.finishing import Finisher
from services.vectors.files.intake import take_in
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
        finisher: Finisher,
        quota: FileQuota,
        limits: FileLimits,
        cursors: CursorCodec,
        auth: Tells,
        storage: Storage,
    ) -> None:
        self._files, self._finisher = files, finisher
        self._quota = quota
        self.limits = limits
        self._cursors = cursors
        self._auth = auth
        self._storage = storage
        self._clearing = set[asyncio.Task[None]]()

    # --- Taking in ----------------------------------------------------------------------------------------------------

    async def receive(
        self, caller: Caller, form: OneFile, told_bytes: int | None, once: Once | None, judge: Judge | None = None
    ) -> StoredFile:
        """The file that comes with `form`, of which `told_bytes` are to come.

        Of what breaks off nothing stays, but for its repetition under the same key. Raises QuotaExceeded, TooLarge,
        Invalid, IdempotencyKeyReused, and what `judge` raises once all of it has come: nothing of that stays either.
        """
        most = self.limits.file_bytes if told_bytes is None else min(told_bytes, self.limits.file_bytes)
        file_id, upload = _id(once), self._upload(form.name, None, most, once)
        async with self._quota.room(caller.tenant_id, file_id, most):
            try:
                file = await self._begun(caller, file_id, upload, once)
                upload = file.upload  # of the first, where this is a repetition
                return await self._received(caller, file, form, once, judge)
            except BaseException:
                self._clear(caller.tenant_id, file_id, upload.place, only_strays=once is not None)
                raise

    async def begin(self, caller: Caller, name: str, length: int, once: Once | None) -> StoredFile:
        """A file of `length` bytes that are sent in pieces. Raises TooLarge, QuotaExceeded, IdempotencyKeyReused."""
        if length > self.limits.file_bytes:
            raise TooLarge(f"A file may have {self.limits.file_bytes:,} bytes here.")
        file_id, upload = _id(once), self._upload(name, length, length, once)
        async with self._quota.room(caller.tenant_id, file_id, length):
            file = await self._begun(caller, file_id, upload, once)
        if length or file.is_ready:
            return file
        await self._files.marks.put_whole(file, caller)
        return await self._finished(caller, file)

    async def append(
        self, caller: Caller, file_id: str, offset: int, chunks: AsyncIterator[bytes], told_bytes: int | None
    ) -> StoredFile:
        """More of a file, from `offset` on; what has come is kept although its sender has gone.

        Of two at one offset, one is refused. Nothing at the end of a file that is not ready makes it so. Raises
        FileNotFound, UploadConflict, TooLarge.
        """
        file = await self.get(caller, file_id)
        length = file.upload.length
        if file.is_ready or length is None or offset != file.received:
            raise UploadConflict(file.received)
        if offset + (told_bytes or 0) > length:
            raise TooLarge(f"The file is to have {length:,} bytes, of which {length - offset:,} are missing.")
        appending = Appending(self._files, self._storage, caller, file)
        try:
            end = await take_in(chunks, appending.put, at=offset, most=length, is_kept=True)
        except BaseException as error:
            self._clear(caller.tenant_id, file_id, file.upload.place, only_strays=True)
            if isinstance(error, TooLarge | ClientDisconnect) and appending.received == length:
                with suppress(FileNotFound):
                    await self._finished(caller, file)  # what fits is all of it
            raise
        return await (self._finished(caller, file) if end == length else self._still(file))

    async def _begun(self, caller: Caller, file_id: str, upload: Upload, once: Once | None) -> StoredFile:
        """The file, as another has begun it where it is a repetition. Raises IdempotencyKeyReused."""
        is_new = await self._files.begin(caller.tenant_id, file_id, upload)
        file = await self._files.find(caller.tenant_id, file_id)
        if file is None:
            raise FileNotFound(file_id)
        if once is not None and not is_new:
            once.found(bytes.fromhex(file.upload.of))
            once.is_repetition = file.is_ready or file.upload.length is not None
        return file

    async def _received(
        self, caller: Caller, file: StoredFile, form: OneFile, once: Once | None, judge: Judge | None
    ) -> StoredFile:
        place = file.upload.place

        async def put(at: int, content: bytes) -> None:
            self._storage.require_room()
            if not file.is_ready and await self._files.parts.put(caller.tenant_id, place, at, content):
                return
            there = Part(at, at + len(content))
            if await self._files.parts.get(caller.tenant_id, place, there) != content:
                raise IdempotencyKeyReused  # nobody else knows of the id

        length = await take_in(form.chunks(), put, most=self.limits.file_bytes)
        if not file.is_ready:
            if (await self._still(file)).received > length:  # what an earlier request brought under this key
                raise IdempotencyKeyReused
            file = await self._finished(caller, file, once, length, judge)
        if file.bytes != length or (judge and judge(form.name, file.media_type or "", length) != file.purpose):
            raise IdempotencyKeyReused
        return file

    async def _finished(
        self,
        caller: Caller,
        file: StoredFile,
        once: Once | None = None,
        length: int | None = None,
        judge: Judge | None = None,
    ) -> StoredFile:
        """It is ready, and what it is. Raises FileNotFound when it was deleted meanwhile."""
        await self._still(file)
        is_first = await self._finisher.finish(file, caller, length, judge)
        if not is_first and once is not None:
            once.is_repetition = True
        return await self._still(file)

    async def _still(self, file: StoredFile) -> StoredFile:
        """The file as it is. Raises FileNotFound, and has what came since it was deleted taken away."""
        found = await self._files.find(file.tenant_id, file.id)
        if found is None or found.upload.place != file.upload.place:
            self._clear(file.tenant_id, file.id, file.upload.place)
            raise FileNotFound(file.id)
        return found

    def _clear(self, tenant_id: str, file_id: str, place: str, *, only_strays: bool = False) -> None:
        """Not waited for, since the request may be at its end; what is not done is swept away later.

        `only_strays` are parts that came after their file was deleted: nobody sees them, and no quota counts them.
        """
        remove = self._files.remove_strays if only_strays else self._files.remove
        task = asyncio.create_task(remove(tenant_id, file_id, place), name="files:clear")
        self._clearing.add(task)
        task.add_done_callback(self._cleared)

    def _cleared(self, task: "asyncio.Task[None]") -> None:
        self._clearing.discard(task)
        if not task.cancelled():
            task.exception()

    def _upload(self, name: str, length: int | None, most: int, once: Once | None) -> Upload:
        now = datetime.now(UTC)
        if once is not None:
            once.of = hashlib.sha256(f"{name}\0{'' if length is None else length}".encode()).digest()
        return Upload(name, length, most, now, now + self.limits.life, new_id(), once.of.hex() if once else "")

    # --- What is there ------------------------------------------------------------------------------------------------

    async def get(self, caller: Caller, file_id: str) -> StoredFile:
        """Raises FileNotFound, also for an upload that has expired."""
        found = await self._files.find(caller.tenant_id, file_id)
        if found is None or (not found.is_ready and found.upload.expires_at <= datetime.now(UTC)):
            raise FileNotFound(file_id)
        return found

    async def get_whole(self, caller: Caller, file_id: str) -> StoredFile:
        """The same, to be read. Raises FileNotFound, FileUnfinished."""
        found = await self.get(caller, file_id)
        if not found.is_ready:
            raise FileUnfinished(found.received)
        return found

    def read(self, file: StoredFile, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, a MiB at most at a time. Raises FileNotFound where it is deleted."""
        return self._files.read(file, start, end)

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

    async def list_ready(
        self, caller: Caller, *, after: str | None, limit: int, newest_first: bool, purpose: str | None
    ) -> list[StoredFile]:
        """By id, those behind `after` that are whole, of any purpose or of the one."""
        return await self._files.list_page(
            caller.tenant_id,
            after=after,
            limit=limit,
            newest_first=newest_first,
            is_whole=True,
            purpose=purpose,
        )

    async def delete(self, caller: Caller, file_id: str) -> None:
        """Whole or not. Raises FileNotFound."""
        file = await self._files.find(caller.tenant_id, file_id)
        if file is None:
            raise FileNotFound(file_id)
        await self._files.remove(caller.tenant_id, file_id, file.upload.place)
        self._auth.tell(caller, Done.FILE_DELETED, file_id, once=file.upload.place)


def _id(once: Once | None) -> str:
    """With a key one that a repetition has again, whatever it brings."""
    return new_id() if once is None else once.id_at(0)
