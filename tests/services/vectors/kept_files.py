"""Files among blobs, without a service around them: what their tests begin with."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.vectors.adapters.blobs_folder import FolderBlobs
from services.vectors.domain import Blob
from services.vectors.files.appending import Appending
from services.vectors.files.domain import StoredFile, Upload
from services.vectors.files.finishing import Finisher
from services.vectors.files.repository import FileRepository
from shared.errors import Unavailable
from shared.identity import Caller
from shared.schemas import new_id
from shared.storage import Storage

ROOM = Storage((), 1)


class WatchedBlobs(FolderBlobs):
    """A folder that counts what it is asked, and fails where it is told to."""

    asked = 0
    listed = 0
    fails_for = ""
    """A part of the paths where nothing is to be deleted."""

    async def get(self, path: str) -> bytes | None:
        self.asked += 1
        return await super().get(path)

    async def list(self, folder: str) -> list[Blob]:
        found = await super().list(folder)
        self.asked, self.listed = self.asked + 1, self.listed + len(found)
        return found

    async def delete(self, path: str) -> None:
        if self.fails_for and self.fails_for in path:
            raise Unavailable("files")
        await super().delete(path)

    def counts(self) -> tuple[int, int]:
        """Since it was asked last."""
        found, self.asked, self.listed = (self.asked, self.listed), 0, 0
        return found


@dataclass
class Heard:
    """Who was told to have done what, to which file."""

    told: list[tuple[str, str, str]] = field(default_factory=list)

    def tell(self, by: Caller, action: str, target: str, *, once: str | None = None, **details: int | str) -> None:
        self.told.append((by.subject, action, target))


def a_caller(tenant_id: str, subject: str = "ada") -> Caller:
    return Caller(subject, tenant_id, frozenset(), new_id(), 0.0, 0.0, "", key_id="key")


def an_upload(length: int | None) -> Upload:
    now = datetime.now(UTC)
    return Upload("a", length, 100 if length is None else length, now, now + timedelta(days=1), new_id())


async def begun(files: FileRepository, length: int | None, tenant_id: str | None = None) -> StoredFile:
    tenant, file_id = tenant_id or new_id(), new_id()
    await files.begin(tenant, file_id, an_upload(length))
    return await found(files, tenant, file_id)


async def found(files: FileRepository, tenant_id: str, file_id: str) -> StoredFile:
    file = await files.find(tenant_id, file_id)
    assert file is not None
    return file


async def again(files: FileRepository, file: StoredFile) -> StoredFile:
    """As it is now."""
    return await found(files, file.tenant_id, file.id)


async def append(files: FileRepository, file: StoredFile, content: bytes, piece_bytes: int) -> None:
    """`content` in pieces, from where the file ends, each in a request of its own."""
    at = (await again(files, file)).received
    for begins in range(0, len(content), piece_bytes):
        piece = content[begins : begins + piece_bytes]
        one = Appending(files, ROOM, a_caller(file.tenant_id), await again(files, file))
        await one.put(at + begins, piece)


async def kept(files: FileRepository, content: bytes, piece_bytes: int, tenant_id: str | None = None) -> StoredFile:
    """A file that came so, and is ready."""
    file = await begun(files, len(content), tenant_id)
    await append(files, file, content, piece_bytes)
    await Finisher(files, Heard()).finish(file, a_caller(file.tenant_id))
    return await again(files, file)


async def content_of(files: FileRepository, file: StoredFile) -> bytes:
    """Of what is there of it."""
    there = await again(files, file)
    return b"".join([some async for some in files.read(there, 0, there.received)])
