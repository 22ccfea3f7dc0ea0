"""Keeping a session alive.

A refresh token works once. What happens to one that comes again is decided by when:

    within 1 s      another request of the same client won: refused, nothing else happens
    within 10 s     the answer was lost: the successor that nobody used is taken out of use and another one is given
    later           somebody has a copy, and the session ends

When the successor was used, no answer was lost, and the session ends at once.
"""

from datetime import UTC, datetime, timedelta

from services.auth.entry.issuing.issuer import TokenIssuer
from services.auth.entry.issuing.pair import TokenPair
from services.auth.entry.sessions.ending import SessionEnder
from services.auth.entry.sessions.repository import Link, SessionRepository
from services.auth.errors import RefreshTokenInUse, RefreshTokenRefused, RefreshTokenReused
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust.scopes import granted, remaining
from services.auth.trust.work import Work, Works

_CONCURRENT = timedelta(seconds=1)
_RETRY_WINDOW = timedelta(seconds=10)


class Refreshing:
    def __init__(self, works: Works, issuer: TokenIssuer) -> None:
        self._works, self._issuer = works, issuer

    async def refresh(self, refresh_token: str, requested: frozenset[str], source: str | None) -> TokenPair:
        """Exchange a refresh token, once.

        Raises RefreshTokenRefused, RefreshTokenInUse, RefreshTokenReused, ScopeNotAllowed.
        """
        async with self._works.begin(source) as work:
            sessions = SessionRepository(work.session)
            link = await sessions.find_locked(refresh_token)
            if link is None or not link.is_alive:
                raise RefreshTokenRefused
            principal = await AccountRepository(work.session).hold_principal(
                link.session.user_id, link.session.tenant_id
            )
            if principal is None:
                raise RefreshTokenRefused
            if not await sessions.use(link.token):
                await _retry(work, link)
            scopes = granted(requested, remaining(link.session.scope.split(), principal.scopes))
            successor = sessions.add_token(link.session.id, parent_id=link.token.id)
            return TokenPair(self._issuer.for_session(principal, scopes, link.session.id), successor)


async def _retry(work: Work, link: Link) -> None:
    """Returns when the token may be exchanged once more."""
    sessions, used_at = SessionRepository(work.session), link.token.used_at
    if used_at and await sessions.has_unused_child(link.token):
        age = datetime.now(UTC) - used_at
        if age < _CONCURRENT:
            raise RefreshTokenInUse
        if age < _RETRY_WINDOW:
            await sessions.supersede_child(link.token)
            return
    await SessionEnder(work).end(link.session.user_id, link.session.id, action="session.token_reused")
    raise RefreshTokenReused
