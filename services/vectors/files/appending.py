"""Takes the pieces of a file, and joins those that are small, so that no file lies in many."""

from services.vectors.files.domain import Part, StoredFile, to_be_joined
from services.vectors.files.errors import UploadConflict
from services.vectors.files.repository import FileRepository
from shared.identity import Caller
from shared.storage import Storage


class Appending:
    """What one request adds to a file."""

    def __init__(self, files: FileRepository, storage: Storage, caller: Caller, file: StoredFile) -> None:
        self._files, self._storage = files, storage
        self._caller, self._file = caller, file
        self._row = list(file.parts)

    @property
    def received(self) -> int:
        return self._row[-1].end if self._row else 0

    async def put(self, at: int, content: bytes) -> None:
        """Raises UploadConflict where another was faster, StorageFull, and what `Blobs` does."""
        self._storage.require_room()  # those that are under way together are larger than what is kept free
        part, tenant_id, place = Part(at, at + len(content)), self._file.tenant_id, self._file.upload.place
        if part.end == self._file.upload.length:
            await self._files.marks.put_whole(self._file, self._caller)
        if not await self._files.parts.put(tenant_id, place, at, content):
            raise UploadConflict(None)
        self._row.append(part)
        if run := to_be_joined(self._row):
            await self._files.parts.join(tenant_id, place, run)
            self._row[-len(run) :] = [Part(run[0].offset, part.end, is_joined=True)]
