"""Makes a file ready whose every byte is there: each MiB of it in one, and known for what it is."""

from typing import Final

from services.vectors.events import Done
from services.vectors.files.domain import Judge, StoredFile, runs
from services.vectors.files.errors import FileNotFound
from services.vectors.files.media_types import LOOKED_AT_BYTES, media_type_of
from services.vectors.files.repository import FileRepository
from shared.errors import ServiceError, Unavailable
from shared.identity import Caller, Tells

_TRIES: Final = 3


class Finisher:
    """Any number may finish one file at once: what each makes of it is the same, and one of them tells of it."""

    def __init__(self, files: FileRepository, auth: Tells) -> None:
        self._files = files
        self._auth = auth

    async def finish(self, file: StoredFile, by: Caller, length: int | None = None, judge: Judge | None = None) -> bool:
        """Whether it was not ready before. `by` sent the last of it; `length` came, where none was said before.

        Raises FileNotFound when it was deleted meanwhile, what `judge` raises, and what `Blobs` does. What `judge`
        refuses is deleted, under a key too.
        """
        whole = await self._joined(file, length if file.upload.length is None else file.upload.length)
        length = whole.received
        ends = [(0, LOOKED_AT_BYTES), (max(0, length - LOOKED_AT_BYTES), length)]
        head, tail = [b"".join([some async for some in self._files.read(whole, *end)]) for end in ends]
        media_type = media_type_of(file.upload.name, head, tail)
        purpose = await self._judged(whole, media_type, judge) if judge else None
        is_first = await self._files.finish(whole, media_type, purpose)
        if is_first:
            self._auth.tell(by, Done.FILE_CREATED, file.id, once=file.upload.place)
        return is_first

    async def _judged(self, whole: StoredFile, media_type: str, judge: Judge) -> str:
        try:
            return judge(whole.upload.name, media_type, whole.received)
        except ServiceError:
            await self._files.give_up(whole)
            raise

    async def _joined(self, file: StoredFile, length: int | None) -> StoredFile:
        tenant_id, place = file.tenant_id, file.upload.place
        for _ in range(_TRIES):
            found = await self._files.find(tenant_id, file.id)
            if found is None or found.upload.place != place:
                raise FileNotFound(file.id)
            if found.is_ready:
                return found
            # A list that is made while others join may lack what they join: what is not all of it is never made ready.
            if not (parted := runs(found.parts)) and found.received == length:
                return found
            for run in parted:
                await self._files.parts.join(tenant_id, place, run)
        raise Unavailable("files")  # others join them all the time, and each time one more
