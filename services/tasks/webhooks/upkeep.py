"""Takes away what webhooks leave behind, a few at a time, and disables those for which too much waits."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from services.tasks.webhooks.claims import ClaimRepository
from services.tasks.webhooks.delivering import Delivering
from shared.loops import keep
from shared.postgres import Database

_log = logging.getLogger("tasks.webhooks")
_BATCH: Final = 500
_ROUNDS: Final = 100  # batches of one webhook before the others have their turn


class Upkeep:
    """One look after another, for as long as the worker lives. Every worker runs it; rows that one has others skip."""

    def __init__(
        self, database: Database, delivering: Delivering, *, days: float, most_kept: int, every_seconds: float
    ) -> None:
        self._database, self._delivering = database, delivering
        self._days, self._most_kept, self._every_seconds = days, most_kept, every_seconds

    async def watch(self) -> None:
        """Look for what piles up, which counts all that waits: once in a while. Never returns."""
        await self._keep(self._delivering.disable_overflowing)

    async def run(self) -> None:
        """Never returns."""
        await self._keep(self.sweep)

    async def prune(self) -> None:
        """Keep no more of each webhook than may be, one webhook after another. Never returns."""
        await self._keep(self.prune_all)

    async def _keep(self, step: Callable[[], Awaitable[object]]) -> None:
        every = self._every_seconds
        await keep(step, log=_log, every_seconds=every, retry_seconds=every)

    async def prune_all(self) -> None:
        """All webhooks. Raises Unavailable."""
        after: str | None = None
        while True:
            async with self._database.statements() as session:
                found = await ClaimRepository(session).list_after(after, _BATCH)
            for webhook_id in found:
                await self._prune(webhook_id)
            if len(found) < _BATCH:
                return
            after = found[-1]

    async def _prune(self, webhook_id: str) -> None:
        for _ in range(_ROUNDS):
            async with self._database.transaction() as session:
                pruned = await ClaimRepository(session).prune(webhook_id, self._most_kept, _BATCH)
            if pruned < _BATCH:
                return

    async def sweep(self) -> bool:
        """Whether there is more. Raises Unavailable."""
        async with self._database.transaction() as session:
            given_up = await ClaimRepository(session).give_up(_BATCH)
        async with self._database.transaction() as session:
            claims = ClaimRepository(session)
            deleted = await claims.delete_old(self._days, _BATCH)
            await claims.delete_gone(_BATCH)
        return given_up >= _BATCH or deleted >= _BATCH
