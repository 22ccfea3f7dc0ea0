"""What followers read: the events of one task by their number, those of all by their transaction.

`xid` and `id` order all events. Transactions commit in any order, so only what lies below the oldest one that still
runs (`horizon`) is complete: nothing will come to lie there any more.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Text, cast, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.models import TaskEvent

_HORIZON: Final = cast(cast(func.pg_snapshot_xmin(func.pg_current_snapshot()), Text), BigInteger)


class Position(NamedTuple):
    """Behind that event of that transaction; with 0 for `id`, before all of it."""

    xid: int
    id: int

    def __str__(self) -> str:
        return f"{self.xid}-{self.id}"


class Concerned(NamedTuple):
    """Whom something that happened concerns."""

    tenant_id: str
    user_id: str
    task_id: str


class EventRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def horizon(self) -> int:
        """Every event of a transaction with a smaller number can be read now, or never."""
        return int(await self._session.scalar(select(_HORIZON)) or 0)

    async def list_of_task(self, task_id: str, *, after: int, limit: int) -> list[TaskEvent]:
        """Up to `limit` events behind number `after`. The task was looked up as the caller's before."""
        table = TaskEvent
        statement = select(table).where(table.task_id == task_id, table.number > after)
        return list((await self._session.scalars(statement.order_by(table.number).limit(limit))).all())

    async def list_of_all(
        self, tenant_id: str, user_id: str | None, *, after: Position, horizon: int, limit: int
    ) -> list[TaskEvent]:
        """Up to `limit` events of the user, or of the whole tenant, behind `after` and below `horizon`."""
        table = TaskEvent
        place = tuple_(table.xid, table.id)
        statement = select(table).where(table.tenant_id == tenant_id, place > tuple_(*after), table.xid < horizon)
        if user_id is not None:
            statement = statement.where(table.user_id == user_id)
        statement = statement.order_by(table.xid, table.id).limit(limit)
        return list((await self._session.scalars(statement)).all())

    async def list_concerned(
        self, tenant_ids: Sequence[str], *, since: int, horizon: int, limit: int
    ) -> list[Concerned]:
        """Up to `limit` whom events of the transactions from `since` to below `horizon` concern, each once."""
        table = TaskEvent
        statement = (
            select(table.tenant_id, table.user_id, table.task_id)
            .distinct()
            .where(table.tenant_id.in_(tenant_ids), table.xid >= since, table.xid < horizon)
            .limit(limit)
        )
        return [Concerned(*row) for row in await self._session.execute(statement)]
