"""Keeping a session alive and ending it.

A refresh token works once. What happens to one that comes again is decided by when:

    within 1 s      another request of the same client won: refused, nothing else happens
    within 10 s     the answer was lost: the successor that nobody used is taken out of use and another one is given
    later           somebody has a copy, and the session ends

When the successor was used, no answer was lost, and the session ends at once.
"""

from datetime import UTC, datetime, timedelta

from services.auth.entry.issuing.issuer import TokenIssuer
from services.auth.entry.issuing.pair import TokenPair
from services.auth.entry.sessions.repository import Link, SessionRepository
from services.auth.errors import RefreshTokenInUse, RefreshTokenRefused, RefreshTokenReused
from services.auth.people.accounts.principal import Principal
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust.scopes import granted, remaining
from services.auth.trust.work import Work, Works
from shared.identity import Caller

_CONCURRENT = timedelta(seconds=1)
_RETRY_WINDOW = timedelta(seconds=10)


class SessionService:
    def __init__(self, work: Work, issuer: TokenIssuer) -> None:
        self._work, self._issuer = work, issuer
        self._sessions = SessionRepository(work.session)
        self._accounts = AccountRepository(work.session)

    async def refresh(self, refresh_token: str, requested: frozenset[str]) -> TokenPair:
        """Raises RefreshTokenRefused, RefreshTokenInUse, RefreshTokenReused, ScopeNotAllowed."""
        link = await self._sessions.find_locked(refresh_token)
        if link is None or not link.is_alive:
            raise RefreshTokenRefused
        principal = await self._accounts.hold_principal(link.session.user_id, link.session.tenant_id)
        if principal is None:
            raise RefreshTokenRefused
        if not await self._sessions.use(link.token):
            await self._retry(link)
        scopes = granted(requested, remaining(link.session.scope.split(), principal.scopes))
        return self._pair(principal, scopes, link)

    async def _retry(self, link: Link) -> None:
        """Returns when the token may be exchanged once more."""
        used_at = link.token.used_at
        if used_at and await self._sessions.has_unused_child(link.token):
            age = datetime.now(UTC) - used_at
            if age < _CONCURRENT:
                raise RefreshTokenInUse
            if age < _RETRY_WINDOW:
                await self._sessions.supersede_child(link.token)
                return
        await self.end(link.session.user_id, link.session.id, action="session.token_reused")
        raise RefreshTokenReused

    def _pair(self, principal: Principal, scopes: frozenset[str], link: Link) -> TokenPair:
        successor = self._sessions.add_token(link.session.id, parent_id=link.token.id)
        return TokenPair(self._issuer.for_session(principal, scopes, link.session.id), successor)

    async def end(self, user_id: str, session_id: str, *, action: str = "session.ended") -> None:
        """End a session: its refresh tokens work no more, its access tokens within seconds."""
        if await self._sessions.end(session_id):
            self._work.access.end_session(session_id)
            self._work.note(action, actor=user_id, target=session_id)

    async def end_others(self, user_id: str, kept_session_id: str | None) -> None:
        """End every session of the user but the one they are using."""
        for session_id in await self._sessions.end_others(user_id, kept_session_id):
            self._work.access.end_session(session_id)

    async def end_by_refresh_token(self, refresh_token: str) -> None:
        """End the session a refresh token belongs to, whatever its state."""
        if link := await self._sessions.find_locked(refresh_token):
            await self.end(link.session.user_id, link.session.id)


class Sessions:
    """The use cases, each in a transaction of its own."""

    def __init__(self, works: Works, issuer: TokenIssuer) -> None:
        self._works, self._issuer = works, issuer

    async def refresh(self, refresh_token: str, requested: frozenset[str], source: str | None) -> TokenPair:
        """Exchange a refresh token, once. Raises as SessionService.refresh."""
        async with self._works.begin(source) as work:
            return await SessionService(work, self._issuer).refresh(refresh_token, requested)

    async def log_out(self, caller: Caller, source: str | None) -> None:
        """End what the caller acts with: the session, or the token alone where it belongs to none."""
        async with self._works.begin(source) as work:
            if caller.session_id:
                await SessionService(work, self._issuer).end(caller.subject, caller.session_id)
            else:
                work.access.end_token(caller.token_id)
