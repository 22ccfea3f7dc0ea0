"""What the kind that replays many tasks does of it, each in a transaction of its own, with the rights of its claim."""

from services.tasks.domain import Claim
from services.tasks.events import Done
from services.tasks.filters import TaskFilter
from services.tasks.replays.rows import Replayer
from services.tasks.replays.service import ReplayService
from services.tasks.repository import TaskRepository
from services.tasks.visibility import OF_THE_TENANT
from shared.identity import SERVICE_PREFIX, Deed, is_covered
from shared.postgres import Database, Outbox
from shared.schemas import new_id


class Replaying:
    """Built once."""

    def __init__(self, database: Database, outbox: Outbox, replays: ReplayService) -> None:
        self._database, self._outbox, self._replays = database, outbox, replays

    async def failed_tasks(self, claim: Claim, wanted: TaskFilter, *, after: str | None, limit: int) -> list[str]:
        """As `Context.failed_tasks`."""
        async with self._database.session() as session:
            tasks = TaskRepository(session, claim.tenant_id, _submitter(claim))
            # What it makes itself is younger: so a replay that fails again is not replayed without end.
            return await tasks.list_ids(wanted, after=after, before=claim.id, limit=limit)

    async def replay(self, claim: Claim, task_id: str) -> str:
        """As `Context.replay`."""
        told = Deed(
            action=Done.REPLAYED,
            actor=claim.user_id,
            tenant_id=claim.tenant_id,
            target=task_id,
            act=f"{SERVICE_PREFIX}tasks",
            key_id=claim.key_id,
            details={},
        )
        async with self._database.transaction() as session:
            tasks = TaskRepository(session, claim.tenant_id, _submitter(claim))
            row = await self._replays.replay_in(session, tasks, Replayer.of_claim(claim), task_id, new_id(), told)
        self._outbox.notify()
        return str(row["id"])


def _submitter(claim: Claim) -> str | None:
    """Whose failed tasks it may replay: the submitting user's, or everybody's of the tenant (None)."""
    return None if is_covered(OF_THE_TENANT, claim.scopes) else claim.user_id
