"""Every statement of the API about tasks; each names the tenant, and whose they are."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Uuid,
    any_,
    bindparam,
    case,
    exists,
    func,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from services.tasks.domain import CANCELLABLE, CANCELLED, REPLAY_KIND, UNFINISHED, TaskStatus
from services.tasks.errors import TaskNotFound
from services.tasks.filters import TaskFilter, unsettled
from services.tasks.models import Task, TaskDependency
from services.tasks.planning import leads, plan_anew

_TAKE_KEY = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:name AS text), 0))")
_SUMMARY = [
    column for column in Task.__mapper__.column_attrs if column.key not in {"input", "result", "scopes", "traceparent"}
]
SUMMARY_ONLY = load_only(*(column.class_attribute for column in _SUMMARY), raiseload=True)
"""Without what may be large."""


_NEWEST, _OLDEST = (Task.tenant_id, Task.id.desc()), (Task.tenant_id.desc(), Task.id)  # as indexes have them, both ways
_STATUSES: BindParameter[Any] = bindparam(
    "unfinished", [one.value for one in UNFINISHED], expanding=True, literal_execute=True
)
_WAITS_FOR_KEY = (Task.status == literal(TaskStatus.QUEUED.value, literal_execute=True)) & Task.waits_for_key
_IN_LINE = _WAITS_FOR_KEY | (Task.status.in_(_STATUSES) & ~Task.waits_for_key)  # as the two indexes of keys have it
_COUNTED = 100_000  # failed tasks at most, for a summary of them
_LINES = 200


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Failed tasks by kind, error and whether their attempts were used up, the most frequent first."""

    rows: list[dict[str, Any]]
    is_whole: bool


class TaskRepository:
    """The tasks that one user of a tenant submitted; without a `user_id`, those of the whole tenant.

    What lists or counts needs a transaction.
    """

    def __init__(self, session: AsyncSession, tenant_id: str, user_id: str | None) -> None:
        self._session, self._tenant_id, self._user_id = session, tenant_id, user_id
        theirs = [] if user_id is None else [Task.user_id == user_id]
        self._visible: list[ColumnElement[bool]] = [Task.tenant_id == tenant_id, *theirs]
        self._listed: list[ColumnElement[bool]] = [leads(Task.tenant_id, tenant_id), *theirs]

    async def get(self, task_id: str, *, hold: bool = False) -> Task:
        """With `hold`, nobody else changes it until the end of the transaction. Raises TaskNotFound."""
        statement = select(Task).where(*self._visible, Task.id == task_id)
        if hold:
            statement = statement.with_for_update()
        task = await self._session.scalar(statement)
        if task is None:
            raise TaskNotFound
        return task

    async def list_newest(self, wanted: TaskFilter, *, after: str | None, limit: int) -> list[Task]:
        """Up to `limit` tasks older than `after`, without input and result."""
        statement = select(Task).where(*self._listed, *wanted.conditions()).order_by(*_NEWEST).limit(limit)
        if after is not None:
            statement = statement.where(Task.id < after)
        await plan_anew(self._session)
        return list((await self._session.scalars(statement.options(SUMMARY_ONLY))).all())

    async def list_ids(self, wanted: TaskFilter, *, after: str | None, before: str, limit: int) -> list[str]:
        """Up to `limit` ids of tasks younger than `after` and older than `before`, oldest first."""
        statement = select(Task.id).where(*self._listed, *wanted.conditions(), Task.kind != REPLAY_KIND)
        statement = statement.where(Task.id < before)
        if after is not None:
            statement = statement.where(Task.id > after)
        await plan_anew(self._session)
        return list((await self._session.scalars(statement.order_by(*_OLDEST).limit(limit))).all())

    async def settle(self, task_id: str, **values: Any) -> Task:
        """The failed task, which says what became of it. The caller holds it."""
        statement = update(Task).where(*self._visible, Task.id == task_id).values(version=Task.version + 1, **values)
        settled = statement.returning(Task).execution_options(populate_existing=True)
        task: Task | None = await self._session.scalar(settled)
        if task is None:
            raise TaskNotFound
        return task

    async def count_unsettled(self) -> DeadLetters:
        """Of the newest ones that nobody has settled."""
        columns = (Task.kind, Task.error_code, Task.dead_letter)
        newest = (
            select(*columns, Task.finished_at)
            .where(*self._listed, unsettled())
            .order_by(*_NEWEST)
            .limit(_COUNTED)
            .subquery()
        )
        by = (newest.c.kind, newest.c.error_code, newest.c.dead_letter)
        number, at = func.count(), newest.c.finished_at
        statement = (
            select(*by, number.label("count"), func.min(at).label("oldest_at"), func.max(at).label("newest_at"))
            .group_by(*by)
            .order_by(number.desc(), *by)
        )
        await plan_anew(self._session)
        rows = [dict(row) for row in (await self._session.execute(statement)).mappings()]
        is_whole = len(rows) <= _LINES and sum(row["count"] for row in rows) < _COUNTED
        return DeadLetters(rows[:_LINES], is_whole)

    async def cancel(self, task_id: str) -> Task | None:
        """The task, cancelled where it was queued and asked to stop where it runs; None when it is in neither state."""
        statement = (
            update(Task)
            .where(*self._visible, Task.id == task_id)
            .where(Task.status.in_(CANCELLABLE))
            .values(**_cancelled())
            .returning(Task)
        )
        return await self._session.scalar(statement)

    async def cancel_key(self, key: str) -> list[str]:
        """The same of all with this concurrency key; their ids. Nobody ends or begins them meanwhile."""
        # Found by the key alone: beside it the planner takes to an index of the user's, which leads through all theirs.
        found = select(Task.id, Task.user_id).where(*_of_key(self._tenant_id, key))
        line = found.cte("line").prefix_with("MATERIALIZED")
        theirs = select(line.c.id).where(true() if self._user_id is None else line.c.user_id == self._user_id)
        held = select(Task.id).where(Task.id.in_(theirs), Task.status.in_(CANCELLABLE)).order_by(Task.id)
        ids = list((await self._session.scalars(held.with_for_update())).all())
        await take_key(self._session, self._tenant_id, key)
        these = Task.id == any_(literal(ids, ARRAY(Uuid(as_uuid=False))))
        # The head of the line last: while it stands, the end of another looks for no next one among all that are gone.
        for part in (Task.waits_for_key, ~Task.waits_for_key):
            await self._session.execute(update(Task).where(these, part).values(**_cancelled()))
        return ids

    async def is_line_full(self, key: str, most: int) -> bool:
        """Whether `most` wait for this concurrency key, whoever submitted them."""
        waits = (Task.tenant_id == self._tenant_id, Task.concurrency_key == key)
        line = select(Task.id).where(*waits, _WAITS_FOR_KEY).order_by(Task.id)
        return await self._session.scalar(line.offset(most - 1).limit(1)) is not None

    async def find_crowded(self, ids: Collection[str], most: int) -> str | None:
        """One of these that `most` others wait for, if there is one."""
        last = select(TaskDependency.task_id).where(TaskDependency.after_id == Task.id).offset(most - 1).limit(1)
        statement = select(Task.id).where(*self._visible, Task.id.in_(ids), last.exists()).limit(1)
        found: str | None = await self._session.scalar(statement)
        return found

    async def hold_still(self, ids: Collection[str]) -> dict[str, TaskStatus]:
        """The states of those of these that there are; none of them ends before this transaction does."""
        statement = select(Task.id, Task.status).where(*self._visible, Task.id.in_(ids)).order_by(Task.id)
        rows = await self._session.execute(statement.with_for_update(read=True))
        return {task_id: TaskStatus(status) for task_id, status in rows}


def _cancelled() -> dict[str, Any]:
    """Of a queued one at once; of a running one that it is asked to stop."""
    is_queued = Task.status == TaskStatus.QUEUED
    return {
        "status": case((is_queued, TaskStatus.CANCELLED), else_=Task.status),
        "finished_at": case((is_queued, func.now()), else_=Task.finished_at),
        "error_code": case((is_queued, CANCELLED.code), else_=Task.error_code),
        "error_detail": case((is_queued, CANCELLED.detail), else_=Task.error_detail),
        "cancel_requested_at": func.coalesce(Task.cancel_requested_at, func.now()),
        "version": Task.version + 1,
    }


async def take_key(session: AsyncSession, tenant_id: str, key: str) -> None:
    """Until the transaction ends nobody else of the key begins, ends or is let go (`task_ended`, migration 0009)."""
    await session.execute(_TAKE_KEY, {"name": f"tasks.key:{tenant_id}:{key}"})


async def stand_in_line(session: AsyncSession, row: dict[str, Any]) -> None:
    """Have a new row wait where others of its key have not ended, as of now and until the transaction ends."""
    tenant_id, key = row["tenant_id"], row["concurrency_key"]
    await take_key(session, tenant_id, key)
    row["waits_for_key"] = await is_key_taken(session, tenant_id, key)
    if row["waits_for_key"]:
        row["enqueued_at"] = None


async def is_key_taken(session: AsyncSession, tenant_id: str, key: str) -> bool:
    """Whether a task of the tenant with this key has not ended."""
    return bool(await session.scalar(select(exists().where(*_of_key(tenant_id, key)))))


def _of_key(tenant_id: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return Task.tenant_id == tenant_id, Task.concurrency_key == key, _IN_LINE
