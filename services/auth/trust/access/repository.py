"""Every statement about revocations."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import RevocationRow


class RevocationRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def list_since(self, since: datetime) -> Sequence[RevocationRow]:
        """Those written since then, by the database's clock, that still concern a valid token."""
        statement = select(RevocationRow).where(
            RevocationRow.created_at >= since, RevocationRow.expires_at > func.clock_timestamp()
        )
        return (await self._session.scalars(statement)).all()

    async def delete_expired(self) -> None:
        await self._session.execute(delete(RevocationRow).where(RevocationRow.expires_at <= func.clock_timestamp()))
