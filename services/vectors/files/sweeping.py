"""Ends what nobody else does: uploads that are not whole, or whole and not ready, and what is left of the deleted."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from services.vectors.files.finishing import Finisher
from services.vectors.files.marks import Mark, MarkKind
from services.vectors.files.repository import FileRepository
from shared.errors import ServiceError

log = logging.getLogger("vectors.files")
_AT_ONCE: Final = 100
_MOST_FAILED: Final = 10
"""So many in a turn say that the store is away: each is waited for."""
_CLOCKS_DIFFER: Final = timedelta(minutes=1)
_STILL_COMING: Final = timedelta(hours=1)
"""Longer than any request lasts: by then nothing of what was deleted is under way."""
EVERY_SECONDS: Final = 60.0


class Sweeper:
    """One in each replica: what two of them end has ended all the same."""

    def __init__(
        self,
        files: FileRepository,
        finisher: Finisher,
        life: timedelta,
        *,
        spare: timedelta = _CLOCKS_DIFFER,
        still_coming: timedelta = _STILL_COMING,
    ) -> None:
        """An upload has `life` to become whole."""
        self._files, self._finisher = files, finisher
        self._ages = {
            MarkKind.UNFINISHED: life + spare,
            MarkKind.WHOLE: spare,
            MarkKind.DELETED: still_coming + spare,
        }
        self._behind = ""

    async def sweep(self) -> bool:
        """End some of what is due; whether there is more behind. What fails waits for the others to have their turn."""
        now = datetime.now(UTC)
        due = await self._files.marks.list_before({kind: now - age for kind, age in self._ages.items()})
        left = [mark for mark in due if mark.path > self._behind]
        failed = 0
        for mark in left[:_AT_ONCE]:
            self._behind = mark.path
            try:
                await self._end(mark)
            except ServiceError as error:
                log.warning("file not swept", extra={"fields": {"path": mark.path, "cause": error.detail}})
                failed += 1
                if failed == _MOST_FAILED:
                    return False
        if len(left) > _AT_ONCE:
            return True
        self._behind = ""
        return False

    async def _end(self, mark: Mark) -> None:
        file = await self._files.find(mark.tenant_id, mark.file_id)
        if file is None or file.upload.place != mark.place or mark.kind is MarkKind.DELETED:
            await self._remove(mark)
        elif file.is_ready:  # whoever made it so died before it was written down
            await self._files.marks.delete(mark)
        elif file.is_here and (sender := await self._files.marks.get_sender(file)) is not None:
            await self._finisher.finish(file, sender)
        elif mark.kind is MarkKind.UNFINISHED:
            await self._remove(mark)

    async def _remove(self, mark: Mark) -> None:
        """A deletion that broke off is ended too."""
        await self._files.remove(mark.tenant_id, mark.file_id, mark.place)
        await self._files.marks.delete(mark)
        log.info("file swept", extra={"fields": {"path": mark.path}})
