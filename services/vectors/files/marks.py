"""What may have to be ended although whoever began it has gone, among the blobs.

marks/unfinished/<tenant>/<id>--<place>   the file is not whole yet
marks/whole/<tenant>/<id>--<place>        its last byte comes, and by whom: it is to become ready
marks/deleted/<tenant>/<id>--<place>      it is deleted; for a while pieces may still come that were under way
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from services.vectors.files.domain import StoredFile
from services.vectors.ports import Blobs
from shared.identity import Caller
from shared.words import Word

_ROOT: Final = "marks"
_BETWEEN: Final = "--"


class MarkKind(Word):
    UNFINISHED = "unfinished"
    WHOLE = "whole"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Mark:
    """One, of a file whose bytes lie at `place`."""

    kind: MarkKind
    tenant_id: str
    file_id: str
    place: str

    @property
    def path(self) -> str:
        return f"{_ROOT}/{self.kind}/{self.tenant_id}/{self.file_id}{_BETWEEN}{self.place}"


class Marks:
    """Those of all tenants. Raises what `Blobs` does."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def put(self, mark: Mark, content: bytes = b"") -> None:
        """Nothing happens when it is there; its time stays what it was."""
        await self._blobs.put(mark.path, content)

    async def delete(self, mark: Mark) -> None:
        await self._blobs.delete(mark.path)

    async def list_before(self, times: Mapping[MarkKind, datetime]) -> list[Mark]:
        """Those that were made before the time of their kind; by path."""
        found: list[Mark] = []
        for blob in await self._blobs.list(_ROOT):
            _, kind, tenant_id, name = blob.path.split("/")
            file_id, _, place = name.partition(_BETWEEN)
            if blob.modified_at < times[MarkKind(kind)]:
                found.append(Mark(MarkKind(kind), tenant_id, file_id, place))
        return found

    async def put_whole(self, file: StoredFile, by: Caller) -> None:
        """Before the last byte is put: `by` sends it."""
        told = {"subject": by.subject, "actor": by.actor, "key_id": by.key_id}
        await self.put(Mark(MarkKind.WHOLE, file.tenant_id, file.id, file.upload.place), orjson.dumps(told))

    async def get_sender(self, file: StoredFile) -> Caller | None:
        """Who sent the last byte, to be named and for nothing else; None when nobody is marked."""
        told = await self._blobs.get(Mark(MarkKind.WHOLE, file.tenant_id, file.id, file.upload.place).path)
        if told is None:
            return None
        return Caller(
            **orjson.loads(told),
            tenant_id=file.tenant_id,
            scopes=frozenset(),
            token_id="",
            issued_at=0.0,
            expires_at=0.0,
            token="",
        )
