"""Takes away uploads that never became whole, and what is left of files that were being deleted."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from services.vectors.files.repository import FileRepository

log = logging.getLogger("vectors.files")
_AT_ONCE: Final = 100
_CLOCKS_DIFFER: Final = timedelta(minutes=1)
EVERY_SECONDS: Final = 300.0


class Sweeper:
    """One in each replica: what two of them take away is gone all the same."""

    def __init__(self, files: FileRepository, life: timedelta, spare: timedelta = _CLOCKS_DIFFER) -> None:
        """An upload has `life` to become whole."""
        self._files = files
        self._life = life + spare

    async def sweep(self) -> bool:
        """Take away some of what is too old; whether there may be more."""
        old = await self._files.list_unfinished(datetime.now(UTC) - self._life)
        for tenant_id, file_id in old[:_AT_ONCE]:
            file = await self._files.find(tenant_id, file_id)
            if file is not None and file.is_ready:  # whoever made it so died before it was written down
                await self._files.unmark(tenant_id, file_id)
            else:
                await self._files.remove(tenant_id, file_id)
        if old:
            log.info("files swept", extra={"fields": {"files": len(old[:_AT_ONCE])}})
        return len(old) > _AT_ONCE
