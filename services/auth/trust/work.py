"""One transaction of auth: what it changes, whose access it ends, and what it notes in the audit log, all or nothing.

What follows a commit (the list of revocations of this process, the relay of events) follows every commit, here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.trust.access.revoker import Revoker
from services.auth.trust.audit.log import AuditLog, Noted
from shared import telemetry
from shared.errors import ServiceError
from shared.identity import Caller, Revocations
from shared.postgres import Database, Outbox


@dataclass(slots=True)
class Work:
    """The open transaction. `source` is the address the request came from, as far as it is known."""

    session: AsyncSession
    access: Revoker
    source: str | None
    noted: list[Noted]

    def note(
        self,
        action: str,
        *,
        actor: str | None = None,
        tenant_id: str | None = None,
        target: str | None = None,
        **details: Any,
    ) -> None:
        """Have the audit log say it, when this is committed. Never pass a secret: the log is read by people."""
        self.noted.append(Noted(action, actor, tenant_id, target, self.source, telemetry.current_trace_id(), details))


def acting(caller: Caller) -> dict[str, str]:
    """The details that name the service which acts for the caller, beside the caller: as in a token, `act`."""
    return {"act": caller.actor} if caller.actor else {}


class Works:
    """Begins transactions."""

    def __init__(self, database: Database, audit: AuditLog, outbox: Outbox, revocations: Revocations) -> None:
        self.database, self._audit = database, audit
        self._outbox, self._revocations = outbox, revocations

    @asynccontextmanager
    async def begin(self, source: str | None = None) -> AsyncIterator[Work]:
        """Committed when the block ends well, or with an error that `keeps_effects`. Raises Unavailable."""
        async with self.database.session() as session:
            work = Work(session, Revoker(session, self._outbox), source, [])
            try:
                yield work
            except ServiceError as error:
                if error.keeps_effects:
                    await self._commit(work)
                raise
            await self._commit(work)

    async def _commit(self, work: Work) -> None:
        await self._audit.append(work.session, work.noted)  # last, because it takes a lock that all wait for
        await work.session.commit()
        if work.access.revoked:
            for revocation in work.access.revoked:
                self._revocations.add(revocation)
            self._outbox.notify()
