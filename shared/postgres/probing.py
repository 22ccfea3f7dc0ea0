"""Whether PostgreSQL takes writes: it may answer and take none, being read-only, a standby, or without room."""

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import DateTime, Text, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from shared.errors import StorageFull, Unavailable
from shared.health import Finding, require_kept
from shared.postgres.database import Database, refuses_writes

_FORGOTTEN_AFTER = timedelta(days=1)


class ProbeRecord:
    """Mixin of the table that probes write: `class ProbeRow(ProbeRecord, Base)`. One row an instance."""

    __tablename__ = "probe"

    instance: Mapped[str] = mapped_column(Text, primary_key=True)
    token: Mapped[str] = mapped_column(Text)
    written_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class DatabaseProbe:
    """Writes a row of this instance, committed, and reads it back.

    A row of a table and not `pg_logical_emit_message`, which costs the same flush of the log but passes in a session
    that is read-only, and touches no table. It is updated in place, so it does not grow.
    """

    def __init__(self, database: Database, table: type[ProbeRecord], instance: str) -> None:
        self._database, self._table, self._instance = database, table, instance

    async def check(self) -> None:
        """Raises Finding, Unavailable, StorageFull."""
        token = secrets.token_hex(8)
        try:
            found = await self._written(token)
        except StorageFull:
            raise
        except Unavailable as error:
            if refuses_writes(error.__cause__):
                raise Finding("postgres refuses writes") from error
            raise
        require_kept("postgres", token, found)

    async def _written(self, token: str) -> str | None:
        table, now = self._table, datetime.now(UTC)
        values = {"token": token, "written_at": now}
        forgotten = delete(table).where(table.written_at < now - _FORGOTTEN_AFTER, table.instance != self._instance)
        written = insert(table).values(instance=self._instance, **values)
        written = written.on_conflict_do_update(index_elements=[table.instance], set_=values)
        async with self._database.statements() as session:
            await session.execute(written.add_cte(forgotten.cte("forgotten")))
            found: str | None = await session.scalar(select(table.token).where(table.instance == self._instance))
        return found
