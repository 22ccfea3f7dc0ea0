"""The places of kinds of which only so many tasks run at once, in all workers together.

A place is a task's state, `running`: it is given back by whoever ends the attempt, or with the lease of a worker that
was killed. Whoever counts the places of a kind and gives some away has its turn until the commit, so that nobody else
counts meanwhile. It is not waited for without end: a worker that was frozen may have it. Tasks of such kinds are sent
by nobody else, as many as there are places.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import exists, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.domain import Priority, TaskStatus, Ticket
from services.tasks.models import Task
from services.tasks.turns import IS_DUE, IS_RUNNING, of_kind

_LOCK: Final = "hashtextextended('tasks.kind:' || CAST(:kind AS text), 0)"
_TRY_TURN: Final = text(f"SELECT pg_try_advisory_xact_lock({_LOCK})")
_TRIES: Final = 10
_BETWEEN_TRIES_SECONDS: Final = 0.05
_MOST_SENT: Final = 50  # at once; more in a second, or with the next that ends
_OF_AN_OWNER: Final = 50
_LOOKED_AT: Final = 500  # of those that wait, drawn by lot where there are more
_ON_THE_WAY_SECONDS: Final = 30  # a message that nobody took within it keeps no place
_SENT_LOOKED_AT: Final = 20_000
_LEFT_OUT_SECONDS: Final = 5.0
_HIGHEST_FIRST: Final = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}


class Waiter(NamedTuple):
    """A task that is due and waits for a place of its kind."""

    id: str
    tenant_id: str
    user_id: str
    priority: str
    run_at: datetime


class LeftOut:
    """Owners, each with a priority, that had no place left in a worker: they have no part in what is drawn for some
    seconds, or a kind's place would be given again and again to one that cannot take it."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, ...], float] = {}

    def note(self, ticket: Ticket, priority: Priority) -> None:
        """That there was none."""
        now = time.monotonic()
        self._until = {owner: until for owner, until in self._until.items() if until > now}
        self._until[ticket.tenant_id, ticket.user_id, priority.value] = now + _LEFT_OUT_SECONDS

    def __contains__(self, waiter: object) -> bool:
        return isinstance(waiter, Waiter) and self._until.get(waiter[1:4], 0.0) > time.monotonic()


async def has_place(session: AsyncSession, task_id: str, limits: Mapping[str, int]) -> bool:
    """Whether the task may run beside those of its kind that do; nobody else is answered until the commit.

    Not either where another has its turn for long.
    """
    if not limits:
        return True
    kind = await session.scalar(select(Task.kind).where(Task.id == task_id, Task.kind.in_(limits)))
    if kind is None:
        return True
    return await _has_turn(session, kind, _TRIES) and len(await _running(session, kind)) < limits[kind]


async def next_of_kind(
    session: AsyncSession, kind: str, limit: int, *, waits: bool, but: Container[Waiter] = ()
) -> list[str]:
    """The ids of those that get the places which are free, of no owner in `but`.

    None while another has its turn, which is waited for a little where it `waits`.
    """
    if not await session.scalar(select(exists().where(IS_DUE))):
        return []  # without a turn
    if not await _has_turn(session, kind, _TRIES if waits else 1):
        return []
    running = await _running(session, kind)
    free = limit - len(running)
    if free > 0:
        free -= await _on_the_way(session, kind)
    if free <= 0:
        return []
    waiting = [one for one in await _waiting(session, kind) if one not in but]
    return fairest(waiting, running, min(free, _MOST_SENT))


def fairest(waiting: Sequence[Waiter], running: Sequence[tuple[str, str]], places: int) -> list[str]:
    """Who gets the `places`, of which `running` are the owners (tenant and user) of those that are taken.

    Each goes to the tenant that has fewest, and there to the user who has fewest, drawn by lot among equals: so whoever
    has one task waits for no neighbour's thousand. Of a user's the highest priority is first, then the oldest.
    """
    of_tenants, of_users = Counter(tenant for tenant, _ in running), Counter(running)
    lot = {name: random.random() for one in waiting for name in (one.tenant_id, one[1:3])}

    def rank(one: Waiter) -> tuple[Any, ...]:
        tenant, user = one.tenant_id, one[1:3]
        of_tenant, of_user = (of_tenants[tenant], lot[tenant]), (of_users[user], lot[user])
        return of_tenant, of_user, _HIGHEST_FIRST[Priority(one.priority)], one.run_at

    left, chosen = list(waiting), list[str]()
    while left and len(chosen) < places:
        first = min(left, key=rank)
        left.remove(first)
        chosen.append(first.id)
        of_tenants[first.tenant_id] += 1
        of_users[first[1:3]] += 1
    return chosen


async def _running(session: AsyncSession, kind: str) -> list[tuple[str, str]]:
    rows = await session.execute(select(Task.tenant_id, Task.user_id).where(IS_RUNNING, Task.kind == kind))
    return [(tenant_id, user_id) for tenant_id, user_id in rows]


async def _on_the_way(session: AsyncSession, kind: str) -> int:
    """How many were sent a moment ago and are not begun yet, of those of all kinds that were sent last."""
    is_queued = Task.status == literal(TaskStatus.QUEUED.value, literal_execute=True)
    recent = Task.enqueued_at > func.now() - timedelta(seconds=_ON_THE_WAY_SECONDS)
    sent = select(Task.kind).where(is_queued, recent).order_by(Task.enqueued_at.desc()).limit(_SENT_LOOKED_AT)
    last = sent.subquery()
    return await session.scalar(select(func.count()).select_from(last).where(last.c.kind == kind)) or 0


async def _has_turn(session: AsyncSession, kind: str, tries: int) -> bool:
    """Until the commit. What it is taken for takes milliseconds; a worker that is frozen may have it for much longer,
    and is not waited for with whatever else this transaction has."""
    for number in range(tries):
        if number:
            await asyncio.sleep(random.uniform(0.5, 1.5) * _BETWEEN_TRIES_SECONDS)
        if await session.scalar(_TRY_TURN, {"kind": kind}):
            return True
    return False


async def _waiting(session: AsyncSession, kind: str) -> list[Waiter]:
    oldest = of_kind(kind, [getattr(Task, name) for name in Waiter._fields], _OF_AN_OWNER)
    drawn = select(oldest).order_by(func.random()).limit(_LOOKED_AT)
    return [Waiter(*row) for row in await session.execute(drawn)]
