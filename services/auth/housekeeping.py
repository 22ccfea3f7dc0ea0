"""What has to be done now and then: what was collected is written, what nobody can use any more is deleted."""

import logging

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


class Housekeeping:
    """Runs beside the service; whoever stops it does a last round, so that a clean stop loses nothing."""

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
        try:
            await self._last_used.write()
            await self._works.write_later()
            await self._works.audit.settle(self._works.database)
            async with self._works.begin() as work:
                await RevocationRepository(work.session).delete_expired()
                await SessionRepository(work.session).delete_expired()
                await InvitationRepository(work.session).delete_expired()
                await Throttle(work.session).delete_old()
                await HeardRepository(work.session).delete_old()
                await MailedTokens(work.session).delete_expired()
                await Allowance(work.session).delete_old()
                await IdempotencyKeys(work.session, IdempotencyKeyRow).delete_old()
        except ServiceError as error:
            _log.warning("put off", extra={"fields": {"detail": error.detail}})
        except Exception:  # noqa: BLE001 - whatever it is, the next round comes
            _log.exception("housekeeping failed")
