"""The heartbeat: keeps the leases of what runs here, hears of cancellations, writes progress."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import Final

from cachetools import LRUCache

from services.tasks.domain import AttemptKey, Claim
from services.tasks.settings import WorkerSettings
from services.tasks.worker.attempt import Attempt, Stop
from services.tasks.worker.repository import WorkRepository
from shared.loops import keep
from shared.postgres import Database

_log = logging.getLogger("tasks.worker")
_ENDED_KNOWN: Final = 10_000


class Leases:
    """What this worker holds. One heartbeat for all of it."""

    def __init__(self, database: Database, settings: WorkerSettings) -> None:
        self._database = database
        self._beat_seconds = settings.heartbeat_seconds
        self._lease_seconds = settings.lease_seconds
        self._held: dict[AttemptKey, Attempt] = {}
        self._ended: LRUCache[AttemptKey, bool] = LRUCache(_ENDED_KNOWN)
        self._renewed_at = time.monotonic()
        self._stopping: Stop | None = None

    @contextmanager
    def hold(self, claim: Claim) -> Iterator[Attempt]:
        """Keep the claim's lease through the block, which ends as the attempt is recorded, or raises."""
        attempt = self._held[claim.key] = Attempt(claim)
        if self._stopping is not None:
            attempt.stop(self._stopping)
        try:
            yield attempt
            self._ended[claim.key] = True
        finally:
            del self._held[claim.key]

    def __contains__(self, claim: Claim) -> bool:
        """Whether it is held here already, or was: another message found it before its end and comes back after it."""
        return claim.key in self._held or claim.key in self._ended

    def stop_all(self, reason: Stop) -> None:
        """What is held, and what comes to be held from now on: a claim may have been waiting for its answer."""
        self._stopping = reason
        for attempt in self._held.values():
            attempt.stop(reason)

    async def run(self) -> None:
        """Never returns. A database that is away is waited for: nobody else can take our tasks meanwhile either."""
        every = self._beat_seconds
        await keep(self.beat, log=_log, every_seconds=every, retry_seconds=every, pauses_first=True)

    async def beat(self) -> None:
        """One round. Raises Unavailable."""
        attempts = dict(sorted(self._held.items(), key=itemgetter(0)))  # as everybody locks tasks
        if not attempts:
            return
        began_at, is_renewal_due = time.monotonic(), self._is_renewal_due()
        locked = await self._renew_free(list(attempts)) if is_renewal_due else []
        said = {attempt: part for attempt in attempts.values() if (part := attempt.log.unwritten())}
        done = {attempt: report for attempt in attempts.values() if (report := attempt.unwritten_progress)}
        async with self._database.transaction() as session:
            work = WorkRepository(session)
            for key, attempt in attempts.items():
                if attempt in said:
                    await work.write_log(key, said[attempt])
                if attempt in done:
                    await work.write_progress(key, done[attempt])
            if locked:
                await work.renew(locked, self._lease_seconds)
            held = await work.look(list(attempts))
        if is_renewal_due:
            self._renewed_at = began_at
        for attempt, part in said.items():
            attempt.log.wrote(part)
        for attempt, report in done.items():
            attempt.progress_written = report
        for key, attempt in attempts.items():
            if key not in held:
                attempt.stop(Stop.LOST)
            elif held[key]:
                attempt.stop(Stop.CANCELLED)

    async def _renew_free(self, keys: list[AttemptKey]) -> list[AttemptKey]:
        """Renewed by itself, so that nobody's lease waits for the row of another, as one whose end lets many others go.

        Answers those whose row is locked, which are still to be renewed. Raises Unavailable.
        """
        async with self._database.transaction() as session:
            renewed = await WorkRepository(session).renew(keys, self._lease_seconds, skips_locked=True)
        return [key for key in keys if key not in renewed]

    def _is_renewal_due(self) -> bool:
        return time.monotonic() - self._renewed_at >= self._lease_seconds / 3 - self._beat_seconds
