"""One transaction of auth: what it changes, whose access it ends, and what it notes in the audit log, all or nothing.

What follows a commit (the list of revocations of this process, the relay of events) follows every commit, here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.trust.access.revoker import Revoker
from services.auth.trust.audit.actions import Action
from services.auth.trust.audit.entries import Noted, acting
from services.auth.trust.audit.log import AuditLog
from shared import telemetry
from shared.errors import ServiceError, StorageFull, Unavailable
from shared.identity import Caller, Revocations
from shared.postgres import Database, Outbox

_NOTING = 2  # connections that a burst of refusals may hold; most of it is counted once the first is written
_NOTE_WAIT_SECONDS = 5.0  # for those; a crowd that is served is through sooner
_LATER_AT_ONCE = 8
_MOST_LATER = 10_000  # many times what passwords can be hashed of in a second


@dataclass(slots=True)
class Work:
    """The open transaction. `source` is the address the request came from, as far as it is known."""

    session: AsyncSession
    access: Revoker
    source: str | None
    noted: list[Noted]

    def note(
        self,
        action: Action,
        *,
        by: Caller | None = None,
        actor: str | None = None,
        tenant_id: str | None = None,
        target: str | None = None,
        **details: Any,
    ) -> None:
        """Have the audit log say it, when this is committed. Never pass a secret: the log is read by people.

        `by` names a caller with whatever they act by, in their tenant unless another is named; `actor` somebody who is
        known otherwise, or who does what concerns no tenant.
        """
        if by:
            actor, tenant_id, details = by.subject, tenant_id or by.tenant_id, details | acting(by)
        self.noted.append(Noted(action, actor, tenant_id, target, self.source, telemetry.current_trace_id(), details))


class Works:
    """Begins transactions."""

    def __init__(self, database: Database, audit: AuditLog, outbox: Outbox, revocations: Revocations) -> None:
        self.database, self.audit = database, audit
        self._later: list[Noted] = []
        self._writing_later = asyncio.Lock()
        self._noting = asyncio.Semaphore(_NOTING)
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

    async def note(self, action: Action, *, source: str | None = None, **said: Any) -> None:
        """Have the audit log say what changes nothing, such as a read: `said` as in `Work.note`. Raises Unavailable.

        But not where the disk is full, when reads go on: then it is counted, and said once there is room.
        """
        work: Work | None = None
        try:
            async with self._turn_to_note(), self.begin(source) as work:
                work.note(action, **said)
        except StorageFull:
            for noted in work.noted if work else ():
                self.audit.repeats.count(noted)

    @asynccontextmanager
    async def _turn_to_note(self) -> AsyncIterator[None]:
        """Raises Unavailable where those before it take so long: of a store that hangs each waits for its statement."""
        try:
            async with asyncio.timeout(_NOTE_WAIT_SECONDS):
                await self._noting.acquire()
        except TimeoutError as error:
            raise Unavailable("postgres") from error
        try:
            yield
        finally:
            self._noting.release()

    def note_later(self, action: Action, *, source: str | None, target: str | None, tenant_id: str | None) -> None:
        """Have the audit log say it in a moment: for what must not take longer where there is something to say."""
        if len(self._later) < _MOST_LATER:
            trace_id = telemetry.current_trace_id()
            self._later.append(Noted(action, None, tenant_id, target, source, trace_id, {}, datetime.now(UTC)))

    async def write_later(self) -> None:
        """Write what was to be noted later. Raises Unavailable, and keeps it for the next time.

        Some at a time: who appends holds up every other transaction that does, a login for one.
        """
        async with self._writing_later:  # two side by side would write the same, and forget what neither has written
            while taken := self._later[:_LATER_AT_ONCE]:
                async with self.begin() as work:
                    work.noted.extend(taken)
                del self._later[: len(taken)]

    async def _commit(self, work: Work) -> None:
        await work.access.write()
        await self.audit.append(work.session, work.noted)  # last, because it takes a lock that all wait for
        await work.session.commit()
        if work.access.revoked:
            for revocation in work.access.revoked:
                self._revocations.add(revocation)
            self._outbox.notify()
