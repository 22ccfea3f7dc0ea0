"""Sends tasks that are due to the workers, in the transaction of whoever lets them go, or right after it."""

from collections.abc import Collection
from typing import Final

from sqlalchemy import ColumnElement, Select, func, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.backlog import MOST_SENT
from services.tasks.domain import Claim, Ticket
from services.tasks.models import Task
from services.tasks.queues import Queues
from services.tasks.turns import next_of, number_sent
from services.tasks.worker.attempt import Attempt
from services.tasks.worker.slots import PATIENCE_SECONDS
from shared.postgres import Outbox

LOW: Final = MOST_SENT // 2  # in the queue: half of it is done while the next half is sent
# One at a time sees to an owner's: of many that end at once each would send as many.
_TRY_TURN: Final = text("SELECT pg_try_advisory_xact_lock(hashtextextended(CAST(:name AS text), 0))")


async def send(session: AsyncSession, which: Select[str], outbox: Outbox, queues: Queues) -> None:
    """Those for longest due first; `outbox` is to be notified."""
    sent = update(Task).where(Task.id.in_(which)).values(enqueued_at=func.now())
    columns = (Task.id, Task.tenant_id, Task.user_id, Task.kind, Task.priority, Task.traceparent, Task.run_at)
    rows = (await session.execute(sent.returning(*columns))).all()
    for *whose, priority, traceparent, _ in sorted(rows, key=lambda row: (row.run_at, row.id)):
        outbox.add(session, **queues.message(Ticket(*whose), priority, traceparent))


def sends_next(attempt: Attempt) -> bool:
    """Whether its end is one at which `send_next_of` may send something."""
    is_long = attempt.seconds > PATIENCE_SECONDS
    return attempt.leaves_others_waiting and (is_long or attempt.leaves_queue_low)


async def send_next_of(
    session: AsyncSession, attempt: Attempt, outbox: Outbox, queues: Queues, *, but: Collection[str]
) -> None:
    """What its owner has waiting, of no kind in `but`: the next one for its place, or many where it was quick.

    Those behind what is quick wait in the worker and have a place at once. Of what takes long each would be put off
    until a place is free, and those of others with it in the queue would wait for that.
    """
    claim = attempt.claim
    if attempt.seconds > PATIENCE_SECONDS:
        await send(session, next_of(claim, 1, but=but), outbox, queues)
    elif attempt.leaves_queue_low and (room := await _room(session, claim)):
        await send(session, next_of(claim, room, but=but), outbox, queues)


def is_queue_low(claim: Claim) -> ColumnElement[bool]:
    """Whether few of its owner's are in the queue."""
    return number_sent(claim, LOW) < literal(LOW)


async def _room(session: AsyncSession, claim: Claim) -> int:
    """How many may be sent now; none while somebody else sends some."""
    name = f"tasks.backlog:{claim.priority}:{claim.tenant_id}:{claim.user_id}"
    if not await session.scalar(_TRY_TURN, {"name": name}):
        return 0
    number = await session.scalar(select(number_sent(claim, MOST_SENT))) or 0
    return MOST_SENT - number if number < LOW else 0
