"""Whether work moves: what the API and the worker both look at, beside what each asks of RabbitMQ."""

import time
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime

from fastapi import FastAPI
from sqlalchemy import exists, func, select

from services.tasks.domain import TaskStatus
from services.tasks.models import ProbeRow, Task
from services.tasks.settings import Settings
from services.tasks.turns import IS_DUE, is_served, unserved_since
from services.tasks.webhooks.lateness import Deliveries
from shared.health import STORE_REMEDY, Finding
from shared.messages import OUTBOX_REMEDY
from shared.postgres import Database, DatabaseProbe, Outbox

_LASTING_SECONDS = 3.0
_LOOKED_AT = 100  # of those that wait for a worker: a long queue is not read for each look at its age


def watch_work(app: FastAPI, database: Database, outbox: Outbox) -> None:
    """Have readiness look at PostgreSQL, at messages that nobody publishes, and at tasks that nobody begins."""
    probe = DatabaseProbe(database, ProbeRow, app.state.instance)
    settings: Settings = app.state.settings
    waiting, deliveries = Waiting(database, app.state.kinds.limits), Deliveries(database)
    queue = Lateness(
        waiting.seconds, settings.queue_warn_seconds, "a task that is due has waited {:.0f} s for a worker"
    )
    late = Lateness(
        deliveries.late_seconds,
        settings.webhook_warn_seconds,
        "a delivery to a webhook has been due for {:.0f} s, and nobody sends it",
    )
    app.state.health.add("postgres", probe.check, remedy=STORE_REMEDY)
    app.state.health.add("outbox", lambda: outbox.check(database), hard=False, remedy=OUTBOX_REMEDY)
    app.state.health.add(
        "queue", queue.check, hard=False, remedy="look at rabbitmq and at the workers, or start more of them"
    )
    app.state.health.add(
        "deliveries", late.check, hard=False, remedy="look at the workers and at their logs, or start more of them"
    )


class Lateness:
    """Whether something is late that nobody sees to.

    It is told once it was so at each look for some seconds: between one that ended and the next that begins there is a
    moment in which nothing seems to move. That something moves is told at once.
    """

    def __init__(self, look: Callable[[], Awaitable[float]], warn_seconds: float, told: str) -> None:
        """`look` says by how many seconds; `told` has a place for them."""
        self._look, self._warn_seconds, self._told = look, warn_seconds, told
        self._late_since: float | None = None

    async def check(self) -> None:
        """Raises Finding, Unavailable."""
        seconds = await self._look()
        if seconds <= self._warn_seconds:
            self._late_since = None
            return
        self._late_since = self._late_since or time.monotonic()
        if time.monotonic() - self._late_since >= _LASTING_SECONDS:
            raise Finding(self._told.format(seconds))


class Waiting:
    """How long the task that is due for longest has waited for a worker; not for others of its own tenant,
    or of a kind of which only so many run at once."""

    def __init__(self, database: Database, limited: Collection[str] = ()) -> None:
        self._database, self._limited = database, limited

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
