"""What has to be done now and then: what was collected is written, what nobody can use any more is deleted."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.entry.api_keys.last_used import LastUsed
from services.auth.entry.sessions.repository import SessionRepository
from services.auth.membership.invitations.repository import InvitationRepository
from services.auth.models import IdempotencyKeyRow
from services.auth.people.letters.allowance import Allowance
from services.auth.people.letters.tokens import MailedTokens
from services.auth.people.passwords.throttle import Throttle
from services.auth.trust.access.repository import RevocationRepository
from services.auth.trust.consumers import HeardRepository
from services.auth.trust.work import Works
from shared.errors import ServiceError
from shared.loops import keep
from shared.postgres import IdempotencyKeys

_log = logging.getLogger("auth.housekeeping")
_EVERY_SECONDS = 60.0
_NOTED_EVERY_SECONDS = 1.0
SESSIONS_AT_ONCE: Final = 100
"""With some thousand tokens each at most, which is far less than a statement's ten seconds."""

Forget = Callable[[AsyncSession], Awaitable[object]]
_FORGET: Final[tuple[Forget, ...]] = (
    lambda session: RevocationRepository(session).delete_expired(),
    lambda session: InvitationRepository(session).delete_expired(),
    lambda session: Throttle(session).delete_old(),
    lambda session: HeardRepository(session).delete_old(),
    lambda session: MailedTokens(session).delete_expired(),
    lambda session: Allowance(session).delete_old(),
    lambda session: IdempotencyKeys(session, IdempotencyKeyRow).delete_old(),
)


class Housekeeping:
    """Runs beside the service; whoever stops it calls `write` last, so that a clean stop loses nothing."""

    def __init__(self, works: Works, last_used: LastUsed) -> None:
        self._works, self._last_used = works, last_used

    async def note(self) -> None:
        """Write each second what is to be noted later. Never returns."""
        await keep(self._works.write_later, log=_log, every_seconds=_NOTED_EVERY_SECONDS)

    async def run(self) -> None:
        """Never returns."""
        await keep(self.round, log=_log, every_seconds=_EVERY_SECONDS, pauses_first=True)

    async def round(self) -> None:
        """Everything once. What fails is done by the next round, or by another replica."""
        await self.write()
        await _put_off(self._forget_sessions)
        for forget in _FORGET:
            await _put_off(partial(self._forget, forget))

    async def write(self) -> None:
        """Write what was collected. Never raises: what fails is kept for the next time."""
        await _put_off(self._last_used.write)
        await _put_off(self._works.write_later)
        await _put_off(partial(self._works.audit.settle, self._works.database))

    async def _forget(self, forget: Forget) -> object:
        """In a transaction of its own: what takes too long takes nothing else with it."""
        async with self._works.database.transaction() as session:
            return await forget(session)

    async def _forget_sessions(self) -> None:
        """Some at a time: each has a chain of tokens, and after days without auth there may be very many."""
        while await self._forget(lambda session: SessionRepository(session).delete_expired(SESSIONS_AT_ONCE)):
            pass


async def _put_off(step: Callable[[], Awaitable[object]]) -> None:
    try:
        await step()
    except ServiceError as error:
        _log.warning("put off", extra={"fields": {"detail": error.detail}})
    except Exception:  # noqa: BLE001 - whatever it is, the next round comes
        _log.exception("housekeeping failed")
