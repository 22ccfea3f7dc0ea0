"""Whether work moves: what the API and the worker both look at, beside what each asks of RabbitMQ."""

from collections.abc import Collection
from datetime import UTC, datetime

from fastapi import FastAPI
from sqlalchemy import exists, func, select

from services.tasks.domain import TaskStatus
from services.tasks.models import ProbeRow, Task
from services.tasks.turns import IS_DUE, is_served, unserved_since
from shared.health import STORE_REMEDY, Finding
from shared.messages import OUTBOX_REMEDY
from shared.postgres import Database, DatabaseProbe, Outbox

_LOOKED_AT = 100  # of those that wait for a worker: a long queue is not read for each look at its age


def watch_work(app: FastAPI, database: Database, outbox: Outbox) -> None:
    """Have readiness look at PostgreSQL, at messages that nobody publishes, and at tasks that nobody begins."""
    probe = DatabaseProbe(database, ProbeRow, app.state.instance)
    waiting = Waiting(database, app.state.settings.queue_warn_seconds, app.state.kinds.limits)
    app.state.health.add("postgres", probe.check, remedy=STORE_REMEDY)
    app.state.health.add("outbox", lambda: outbox.check(database), hard=False, remedy=OUTBOX_REMEDY)
    app.state.health.add(
        "queue", waiting.check, hard=False, remedy="look at rabbitmq and at the workers, or start more of them"
    )


class Waiting:
    """How long the task that is due for longest has waited for a worker; not for others of its own tenant,
    or of a kind of which only so many run at once."""

    def __init__(self, database: Database, warn_seconds: float, limited: Collection[str] = ()) -> None:
        self._database, self._warn_seconds, self._limited = database, warn_seconds, limited

    async def check(self) -> None:
        """Raises Finding when it waits for too long, Unavailable."""
        seconds = await self.seconds()
        if seconds > self._warn_seconds:
            raise Finding(f"a task that is due has waited {seconds:.0f} s for a worker")

    async def seconds(self) -> float:
        """0 when none waits."""
        # Not by `enqueued_at` itself: what is sent again would seem new.
        sent = select(Task.run_at, Task.priority, Task.tenant_id).where(
            Task.status == TaskStatus.QUEUED, Task.enqueued_at.is_not(None)
        )
        first = sent.order_by(Task.enqueued_at).limit(_LOOKED_AT).subquery()
        async with self._database.statements() as session:
            since = [await session.scalar(select(func.min(first.c.run_at)).where(~is_served(first.c)))]
            if await session.scalar(select(exists().where(IS_DUE))):
                since.append(await session.scalar(unserved_since(self._limited)))
        due_at = min((moment for moment in since if moment), default=None)
        return max(0.0, (datetime.now(UTC) - due_at).total_seconds()) if due_at else 0.0
