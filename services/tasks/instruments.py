"""What the API measures: what is submitted, and how the queue stands, which is looked at now and then, by no scrape."""

import logging
import math
from collections import Counter as Count
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from services.tasks.domain import Priority, TaskStatus
from services.tasks.health import Waiting
from services.tasks.models import Task
from services.tasks.turns import IS_DUE, IS_UNSENT
from shared.errors import ServiceError
from shared.loops import keep
from shared.postgres import Database, Outbox

_log = logging.getLogger("tasks.queue")
EVERY_SECONDS: Final = 15.0
COUNTED_TO: Final = 10_000
_STATES: Final[dict[str, tuple[ColumnElement[bool], InstrumentedAttribute[Any]]]] = {
    "sent": ((Task.status == TaskStatus.QUEUED) & Task.enqueued_at.is_not(None), Task.enqueued_at),
    "due": (IS_DUE, Task.run_at),
    "later": (IS_UNSENT & (Task.run_at > func.now()), Task.run_at),
}
"""What is counted, each in the order of its index, so that no more is read than is counted."""


class Submits:
    """Counts what is submitted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._submits = Counter(
            "tasks_submits_total",
            "submits that were accepted: new, or repeated under an Idempotency-Key, which made nothing",
            ["kind", "outcome"],
            registry=registry,
        )

    def accepted(self, kind: str, *, is_new: bool) -> None:
        """A task was made for it, or is there already."""
        self._submits.labels(kind, "new" if is_new else "repeated").inc()


class QueueGauges:
    """How the queue stood when it was last looked at; NaN where that failed."""

    def __init__(
        self, database: Database, outbox: Outbox, limited: Collection[str], registry: CollectorRegistry
    ) -> None:
        self._database, self._outbox = database, outbox
        self._waiting = Waiting(database, limited)
        self._depth = Gauge(
            "tasks_queued",
            f"tasks that wait: sent to a worker, due and not sent, or due later; {COUNTED_TO} stands for more too",
            ["priority", "state"],
            registry=registry,
        )
        self._oldest = Gauge(
            "tasks_oldest_due_seconds",
            "how long the task that is due for longest waits for a worker",
            registry=registry,
        )
        self._unpublished = Gauge(
            "tasks_outbox_oldest_seconds", "how long the oldest message waits to be published", registry=registry
        )

    async def run(self) -> None:
        """Never returns."""
        await keep(self.look, log=_log, every_seconds=EVERY_SECONDS, retry_seconds=EVERY_SECONDS)

    async def look(self) -> None:
        """Once. Raises Unavailable."""
        try:
            for state in _STATES:
                counted = await self._count(state)
                for priority in Priority:
                    self._depth.labels(priority.value, state).set(counted[priority.value])
            self._oldest.set(await self._waiting.seconds())
            written_at = await self._outbox.oldest(self._database)
            self._unpublished.set((datetime.now(UTC) - written_at).total_seconds() if written_at else 0.0)
        except ServiceError:
            self._forget()
            raise

    async def _count(self, state: str) -> Count[str]:
        """Up to `COUNTED_TO`, by priority."""
        which, order = _STATES[state]
        first = select(Task.priority).where(which).order_by(order).limit(COUNTED_TO).subquery()
        async with self._database.statements() as session:
            rows = await session.execute(select(first.c.priority, func.count()).group_by(first.c.priority))
            return Count({str(row[0]): int(row[1]) for row in rows})

    def _forget(self) -> None:
        """So that nobody takes what was for what is."""
        for state in _STATES:
            for priority in Priority:
                self._depth.labels(priority.value, state).set(math.nan)
        self._oldest.set(math.nan)
        self._unpublished.set(math.nan)
