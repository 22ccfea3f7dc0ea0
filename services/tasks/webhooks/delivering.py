"""One delivery from its claim to what came of it: is it allowed still, send it, write down how that went."""

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from services.tasks.domain import AUTHORITY_ENDED
from services.tasks.errors import PermanentFailure
from services.tasks.events import Done, tell
from services.tasks.webhooks.claims import ClaimRepository
from services.tasks.webhooks.domain import FAILING, GONE, OVERFLOWED, AttemptError, Claimed, Outcome, overflowing
from services.tasks.webhooks.instruments import Instruments
from services.tasks.webhooks.models import Webhook
from services.tasks.webhooks.sending import Sender
from services.tasks.webhooks.terms import Terms
from shared.errors import ServiceError
from shared.identity import SERVICE_PREFIX, Deed
from shared.postgres import Database, Outbox

_log = logging.getLogger("tasks.webhooks")
_OUR_SECONDS: Final = 45.0  # beside the receiver's: what a claim takes of auth and PostgreSQL, however slow they are
_ASK_AGAIN_SECONDS: Final = 5.0
_LONGEST_HOLD_SECONDS: Final = 3600.0


class Tokens(Protocol):
    """auth, as far as it says whether a credential still holds (`adapters.delegation`)."""

    async def get(self, claim: Claimed) -> str:
        """A token for what the webhook may see. Raises PermanentFailure where it may no more, ServiceError."""
        ...


class Delivering:
    """What happens to one claimed delivery. Built once."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        tokens: Tokens,
        sender: Sender,
        instruments: Instruments,
        terms: Terms,
    ) -> None:
        self._database, self._outbox, self._tokens = database, outbox, tokens
        self._sender, self._instruments, self._terms = sender, instruments, terms

    async def deliver_next(self, webhook_id: str) -> bool:
        """Whether the webhook had one that was due, which has arrived now. Raises Unavailable."""
        async with self._database.transaction() as session:
            claimed = await ClaimRepository(session).claim(webhook_id, self._terms.seconds + _OUR_SECONDS)
        if claimed is None:
            return False
        try:
            await self._tokens.get(claimed)
        except PermanentFailure:
            await self._disable(webhook_id, AUTHORITY_ENDED, claimed)
            return False
        except ServiceError as error:  # nobody says whether it may be sent
            self._instruments.put_off.inc()
            _log.warning("webhooks wait for auth", extra={"fields": {"cause": error.detail}})
            async with self._database.transaction() as session:
                await ClaimRepository(session).put_off(claimed, _ASK_AGAIN_SECONDS)
            return False
        outcome = await self._send(claimed)
        await self._settle(claimed, outcome)
        return outcome.error is None

    async def _send(self, claimed: Claimed) -> Outcome:
        with self._instruments.sending.track_inprogress():
            outcome = await self._attempted(claimed)
        attempts = self._instruments.attempts.labels(outcome.error or "arrived")
        attempts.observe(outcome.duration.total_seconds())
        return outcome

    async def _attempted(self, claimed: Claimed) -> Outcome:
        """Whatever a receiver brings about counts as an attempt: one that did not would be made for ever."""
        at, began = datetime.now(UTC), time.monotonic()
        try:
            return await self._sender.send(claimed)
        except Exception:  # noqa: BLE001 - what is not foreseen has failed as everything else does
            _log.exception("an attempt broke off", extra={"fields": {"webhook_id": claimed.webhook_id}})
            took = timedelta(seconds=time.monotonic() - began)
            return Outcome(at, took, error=AttemptError.BROKEN_OFF, detail="The attempt broke off on our own side.")

    async def _settle(self, claimed: Claimed, outcome: Outcome) -> None:
        next_in = None
        if outcome.error and outcome.error != AttemptError.GONE:
            next_in = self._terms.waits.after(claimed.failures + 1, outcome.retry_after)
        async with self._database.transaction() as session:
            claims = ClaimRepository(session)
            await claims.settle(claimed, outcome, next_in)
            if outcome.error is None:
                await claims.note_success(claimed)
                return
            held = min(outcome.retry_after, _LONGEST_HOLD_SECONDS)
            failing_for = await claims.note_failure(claimed, outcome, held)
            is_gone = outcome.error == AttemptError.GONE
            if is_gone or failing_for.total_seconds() > self._terms.failing_days * 86_400:
                webhook = await claims.disable(claimed.webhook_id, GONE if is_gone else FAILING, claimed)
                self._tell(session, webhook)
        self._outbox.notify()

    async def _disable(self, webhook_id: str, code: str, claimed: Claimed | None = None) -> None:
        async with self._database.transaction() as session:
            self._tell(session, await ClaimRepository(session).disable(webhook_id, code, claimed))
        self._outbox.notify()

    async def disable_overflowing(self) -> None:
        """Those for which more waits than may; what waits is measured. Raises Unavailable."""
        async with self._database.statements() as session:
            found = await ClaimRepository(session).list_waiting(self._terms.most_waiting)
        self._instruments.waiting.set(sum(one.count for one in found))
        self._instruments.late.set(max((one.late for one in found), default=0.0))
        for webhook_id in overflowing(found, self._terms.most_waiting, self._terms.most_waiting_of_a_tenant):
            await self._disable(webhook_id, OVERFLOWED)

    def _tell(self, session: AsyncSession, webhook: Webhook | None) -> None:
        """In the audit log it is its maker's, done by tasks; of one that was disabled already nothing is told."""
        if webhook is None:
            return
        code = webhook.error_code or ""
        self._instruments.disabled.labels(code).inc()
        _log.info("webhook disabled", extra={"fields": {"webhook_id": webhook.id, "reason": code}})
        told = Deed(
            action=Done.WEBHOOK_DISABLED,
            actor=webhook.user_id,
            tenant_id=webhook.tenant_id,
            target=webhook.id,
            act=f"{SERVICE_PREFIX}tasks",
            key_id=webhook.key_id,
            details={"reason": code},
        )
        tell(self._outbox, session, told)
