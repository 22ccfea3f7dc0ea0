"""Takes away what webhooks leave behind, a few at a time, and disables those for which too much waits."""

import logging
from typing import Final

from services.tasks.webhooks.claims import ClaimRepository
from services.tasks.webhooks.delivering import Delivering
from shared.loops import keep
from shared.postgres import Database

_log = logging.getLogger("tasks.webhooks")
_BATCH: Final = 500


class Upkeep:
    """One look after another, for as long as the worker lives. Every worker runs it; rows that one has others skip."""

    def __init__(self, database: Database, delivering: Delivering, *, days: float, every_seconds: float) -> None:
        self._database, self._delivering = database, delivering
        self._days, self._every_seconds = days, every_seconds

    async def run(self) -> None:
        """Never returns."""
        every = self._every_seconds
        await keep(self.sweep, log=_log, every_seconds=every, retry_seconds=every)

    async def sweep(self) -> bool:
        """Whether there is more. Raises Unavailable."""
        await self._delivering.disable_overflowing()
        async with self._database.transaction() as session:
            given_up = await ClaimRepository(session).give_up(_BATCH)
        async with self._database.transaction() as session:
            claims = ClaimRepository(session)
            deleted = await claims.delete_old(self._days, _BATCH)
            await claims.delete_gone(_BATCH)
        return given_up >= _BATCH or deleted >= _BATCH
