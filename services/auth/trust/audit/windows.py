"""Every statement about the windows in which repetitions are counted, for all replicas.

Times are the database's, as those of replicas may differ.
"""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from sqlalchemy import delete, extract, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import AuditWindow
from services.auth.trust.audit.actions import Action
from services.auth.trust.audit.entries import Noted

WINDOW_SECONDS: Final = 300.0
_LATE_SECONDS = 120.0  # what replicas have counted comes within a minute after the end
_AGE = extract("epoch", func.clock_timestamp() - AuditWindow.first_at)
_SAID = ("action", "actor", "tenant_id", "target", "source", "trace_id", "details")


class Counted(Protocol):
    """What a process has counted."""

    @property
    def key(self) -> bytes: ...
    @property
    def noted(self) -> Noted: ...
    @property
    def level(self) -> int: ...
    @property
    def repeated(self) -> int: ...


class WindowRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_ages(self, keys: Sequence[bytes]) -> dict[bytes, float]:
        """How old those of the windows are that are there, in seconds."""
        statement = select(AuditWindow.key, _AGE).where(AuditWindow.key.in_(keys))
        return {key: float(age) for key, age in await self._session.execute(statement)}

    async def count_by_level(self, action: Action, tenant_id: str | None) -> dict[int, tuple[int, int]]:
        """How many windows of this action there are, and how many of the tenant's, by how shortly they say it."""
        is_tenants = AuditWindow.tenant_id.is_not_distinct_from(tenant_id)
        statement = (
            select(AuditWindow.level, func.count(), func.count().filter(is_tenants))
            .where(AuditWindow.action == action)
            .group_by(AuditWindow.level)
        )
        return {row[0]: (row[1], row[2]) for row in await self._session.execute(statement)}

    async def add(self, counted: Sequence[Counted]) -> None:
        """Add to the windows; one that is not there, or was closed meanwhile, is made. In the order that is given."""
        for one in counted:
            made = insert(AuditWindow).values(**_row(one))
            await self._session.execute(
                made.on_conflict_do_update(
                    index_elements=[AuditWindow.key],
                    set_={"repeated": AuditWindow.repeated + made.excluded.repeated, "last_at": func.clock_timestamp()},
                )
            )

    async def take_over(self, limit: int) -> Sequence[AuditWindow]:
        """Remove up to `limit` windows that are over. Those that somebody adds to now are left for the next time."""
        over = (
            select(AuditWindow.key)
            .where(_AGE >= WINDOW_SECONDS + _LATE_SECONDS)
            .order_by(AuditWindow.first_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        removed = delete(AuditWindow).where(AuditWindow.key.in_(over)).returning(AuditWindow)
        found = (await self._session.scalars(removed, execution_options={"synchronize_session": False})).all()
        return sorted(found, key=lambda window: window.first_at)


def summary(window: AuditWindow) -> Noted:
    """The entry that says how often it was repeated."""
    details = {
        **window.details,
        "repeated": window.repeated,
        "since": window.first_at.isoformat(),
        "until": window.last_at.isoformat(),
    }
    said: dict[str, Any] = {name: getattr(window, name) for name in _SAID} | {"details": details}
    return Noted(**said)


def _row(one: Counted) -> dict[str, Any]:
    now = func.clock_timestamp()
    said = {name: getattr(one.noted, name) for name in _SAID}
    return said | {"key": one.key, "level": one.level, "repeated": one.repeated, "first_at": now, "last_at": now}
