"""Ends access: writes what every service has to hear, in the transaction of the change that is the reason for it."""

from dataclasses import asdict
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.events import AccessRevoked, publish
from services.auth.models import RevocationRow
from shared.identity import Revocation, key_subject, member_subject, session_subject, token_subject, user_subject
from shared.postgres import Outbox
from shared.schemas import new_id

# No access token lives longer (`access_token_seconds` is at most 900); the rest is for clocks that differ.
_LONGEST_TOKEN = timedelta(seconds=900 + 60)


class Revoker:
    """Revocations of one transaction. Each holds until the last token it concerns has expired."""

    def __init__(self, session: AsyncSession, outbox: Outbox) -> None:
        self._session, self._outbox = session, outbox
        self._ended: list[tuple[str, bool]] = []
        self.revoked: list[Revocation] = []

    def end_token(self, token_id: str) -> None:
        self._end(token_subject(token_id))

    def end_session(self, session_id: str) -> None:
        self._end(session_subject(session_id))

    def end_key(self, key_id: str) -> None:
        self._end(key_subject(key_id))

    def end_user(self, user_id: str) -> None:
        """Everything the user holds now; what they are given later, when they may log in again, is good."""
        self._end(user_subject(user_id), up_to_now=True)

    def end_member(self, tenant_id: str, user_id: str) -> None:
        """What the user holds in this tenant now; a token asked for after this has the rights of the new role."""
        self._end(member_subject(tenant_id, user_id), up_to_now=True)

    def _end(self, subject: str, *, up_to_now: bool = False) -> None:
        self._ended.append((subject, up_to_now))

    async def write(self) -> None:
        """Write them, as of now by the clock that says when tokens were issued, whichever replica issued them."""
        if not self._ended:
            return
        now = (await self._session.execute(select(func.clock_timestamp()))).scalar_one()
        for subject, up_to_now in self._ended:
            row = RevocationRow(
                id=new_id(),
                subject=subject,
                issued_until=now if up_to_now else None,
                created_at=now,
                expires_at=now + _LONGEST_TOKEN,
            )
            self._session.add(row)
            revocation = as_revocation(row)
            publish(self._outbox, self._session, AccessRevoked(**asdict(revocation)))
            self.revoked.append(revocation)


def as_revocation(row: RevocationRow) -> Revocation:
    return Revocation(
        expires_at=row.expires_at.timestamp(),
        subject=row.subject,
        issued_until=row.issued_until.timestamp() if row.issued_until else None,
    )
