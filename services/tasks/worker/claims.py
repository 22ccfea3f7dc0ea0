"""How a worker comes to have tasks: many by one statement, and alone what that leaves out or cannot tell."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.tasks.domain import Claim
from services.tasks.worker.claiming import claim_free
from services.tasks.worker.gathering import Gathering
from services.tasks.worker.outages import Outages
from services.tasks.worker.repository import WorkRepository
from shared.postgres import Database

_TOGETHER: Final = 50


class Claims:
    """Built once. `limits` are of kinds of which only so many run at once."""

    def __init__(
        self, database: Database, outages: Outages, limits: Mapping[str, int], worker_id: str, lease_seconds: float
    ) -> None:
        self._database, self._outages, self._limits = database, outages, limits
        self._worker_id, self._lease_seconds = worker_id, lease_seconds
        self._together = Gathering(self._claim_free, _TOGETHER)

    async def claim(self, task_id: str) -> tuple[bool, Claim | None]:
        """The task, running here, and whether its kind had a place for it; without one it waits for its turn.

        A claim that was committed while its answer was lost is found again: or the task would run nowhere until its
        lease lapses, and have lost an attempt by it. Raises RetryLater.
        """
        is_in_doubt = False
        try:
            if claim := await self._together.join(task_id):
                return True, claim
        except Exception:  # noqa: BLE001 - whatever it is, it may be another's: alone it is raised where it belongs
            is_in_doubt = True

        async def alone(work: WorkRepository) -> tuple[bool, Claim | None]:
            nonlocal is_in_doubt
            was_in_doubt, is_in_doubt = is_in_doubt, True  # until the commit has answered
            return await self._claim(work, task_id, may_be_ours=was_in_doubt)

        return await self._outages.through(alone)

    async def _claim_free(self, ids: Sequence[str]) -> list[Claim | None]:
        """Of two messages about one task the first has it."""
        async with self._database.statements() as session:
            claims = await claim_free(session, ids, self._worker_id, self._lease_seconds, but=self._limits)
        return [claims.pop(task_id, None) for task_id in ids]

    async def _claim(self, work: WorkRepository, task_id: str, *, may_be_ours: bool) -> tuple[bool, Claim | None]:
        """Ours are looked for last: one whose commit is still under way is waited for by what comes before."""
        has_place = await work.has_place(task_id, self._limits)
        claim = await work.claim(task_id, self._worker_id, self._lease_seconds) if has_place else None
        if claim is None and may_be_ours:
            claim = await work.find_claimed(task_id, self._worker_id, self._lease_seconds)
        if claim is None and not has_place:
            await work.put_off(task_id)
        return has_place or claim is not None, claim
