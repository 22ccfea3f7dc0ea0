"""Whatever happens in whatever order, a task moves only as the table allows, and never out of a final state."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text

from services.tasks.domain import INTERRUPTED, TIMED_OUT, TRANSITIONS, Claim, TaskStatus, Ticket
from services.tasks.models import OutboxRow, Task
from services.tasks.queues import Queues
from services.tasks.repository import TaskRepository
from services.tasks.worker.attempt import Attempt, ProgressReport
from services.tasks.worker.recovery import RecoveryRepository
from services.tasks.worker.repository import WorkRepository
from shared.postgres import Database, Outbox
from tests.fixtures.identity import User
from tests.services.tasks.running import Installation, Tasks


@pytest.fixture(scope="module")
def installation(new_installation: Callable[[], Installation]) -> Installation:
    """Of their own: what these tests leave in tables and queues would come to the workers of other tests."""
    return new_installation()


@pytest.fixture(scope="module")
async def tasks(installation: Installation, user: User) -> AsyncIterator[Tasks]:
    async with installation.api() as client:
        yield Tasks(client, user)


@pytest.fixture
async def database(installation: Installation, tasks: Tasks) -> AsyncIterator[Database]:
    async with installation.database() as opened:
        yield opened


class Chaos:
    """Does to one task what workers, users and the clock do; every worker that ever had it goes on writing."""

    def __init__(self, database: Database, task: dict[str, str], tenant_id: str, queues: Queues) -> None:
        self._database, self._id, self._tenant_id = database, task["id"], tenant_id
        self._message = queues.message(Ticket(self._id, tenant_id, task["submitted_by"]), task["priority"])
        self._claims: list[Claim] = []
        self._outbox = Outbox(OutboxRow)
        self.events: list[Callable[[random.Random], Awaitable[object]]] = [
            self.claim,
            self.claim,
            self.succeed,
            self.fail,
            self.retry,
            self.give_back,
            self.end_cancelled,
            self.report,
            self.cancel,
            self.lapse,
            self.come_due,
            self.expire,
        ]

    def attempt(self, chance: random.Random) -> Attempt:
        """Of any worker that had the task, late ones too."""
        claim = chance.choice(self._claims)
        return Attempt(claim, progress=chance.choice([None, ProgressReport(1, 2, "x")]))

    async def claim(self, _chance: random.Random) -> None:
        async with self._database.transaction() as session:
            claim = await WorkRepository(session).claim(self._id, "worker", lease_seconds=60)
        self._claims += [claim] if claim else []

    async def _as_worker(
        self, chance: random.Random, act: Callable[[WorkRepository, Attempt], Awaitable[object]]
    ) -> None:
        if self._claims:
            async with self._database.transaction() as session:
                await act(WorkRepository(session), self.attempt(chance))

    async def succeed(self, chance: random.Random) -> None:
        await self._as_worker(chance, lambda work, attempt: work.succeed(attempt, "{}"))

    async def fail(self, chance: random.Random) -> None:
        end = chance.choice([WorkRepository.fail, WorkRepository.give_up])
        await self._as_worker(chance, lambda work, attempt: end(work, attempt, TIMED_OUT))

    async def retry(self, chance: random.Random) -> None:
        await self._as_worker(chance, lambda work, attempt: work.retry(attempt, TIMED_OUT, chance.choice([0, 60])))

    async def give_back(self, chance: random.Random) -> None:
        await self._as_worker(
            chance, lambda work, attempt: work.give_back(attempt, INTERRUPTED, self._outbox, self._message)
        )

    async def end_cancelled(self, chance: random.Random) -> None:
        await self._as_worker(chance, lambda work, attempt: work.cancel(attempt))

    async def report(self, chance: random.Random) -> None:
        await self._as_worker(
            chance, lambda work, attempt: work.write_progress(attempt.claim.key, ProgressReport(1, 1, None))
        )

    async def cancel(self, _chance: random.Random) -> None:
        async with self._database.transaction() as session:
            await TaskRepository(session, self._tenant_id, None).cancel(self._id)

    async def lapse(self, _chance: random.Random) -> None:
        await self._at(
            "UPDATE task SET lease_expires_at = now() - interval '1 s' WHERE id = :id AND status = 'running'"
        )
        async with self._database.transaction() as session:
            await RecoveryRepository(session).take_lapsed()

    async def come_due(self, _chance: random.Random) -> None:
        await self._at("UPDATE task SET run_at = now() WHERE id = :id AND status = 'queued'")
        async with self._database.transaction() as session:
            await RecoveryRepository(session).take_due(most=8)

    async def expire(self, chance: random.Random) -> None:
        if chance.random() < 0.2:
            await self._at(
                "UPDATE task SET run_at = now() - interval '9 d', enqueued_at = enqueued_at - interval '9 d'"
                " WHERE id = :id AND status = 'queued'"
            )
            async with self._database.transaction() as session:
                await RecoveryRepository(session).expire_unsent(days=7)
                await RecoveryRepository(session).expire_unheard(days=7)

    async def _at(self, statement: str) -> None:
        async with self._database.transaction() as session:
            await session.execute(text(statement), {"id": self._id})

    async def read(self) -> Task:
        async with self._database.session() as session:
            return await TaskRepository(session, self._tenant_id, None).get(self._id)


def state(task: Task) -> dict[str, object]:
    return {column.key: getattr(task, column.key) for column in Task.__table__.columns}


@pytest.mark.parametrize("seed", range(40))
async def test_a_task_moves_only_as_the_table_allows(
    installation: Installation, tasks: Tasks, database: Database, seed: int
) -> None:
    chance, queues = random.Random(seed), Queues(installation.names["queue_prefix"])
    chaos = Chaos(database, await tasks.submit("echo", max_attempts=4), tasks.user.tenant_id, queues)
    before = await chaos.read()

    for _ in range(25):
        await chance.choice(chaos.events)(chance)
        after = await chaos.read()

        was, now = TaskStatus(before.status), TaskStatus(after.status)
        assert was == now or now in TRANSITIONS[was]
        if not TRANSITIONS[was]:
            assert state(after) == state(before)
        assert (not TRANSITIONS[now]) == (after.finished_at is not None)
        assert (now is TaskStatus.RUNNING) == (after.lease_expires_at is not None)
        before = after
