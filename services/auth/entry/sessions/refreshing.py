"""Keeping a session alive.

A refresh token has one successor. What happens to one that comes again is decided by what became of that:

    nobody used it, within 10 s     a second tab, or the answer was lost: the same successor once more
    it was used, or later           somebody has a copy, and the session ends
"""

from datetime import timedelta

from services.auth.entry.issuing.issuer import TokenIssuer
from services.auth.entry.issuing.pair import TokenPair
from services.auth.entry.sessions.ending import SessionEnder
from services.auth.entry.sessions.repository import Link, SessionRepository
from services.auth.entry.sessions.successors import Successors
from services.auth.errors import RefreshTokenRefused, RefreshTokenReused
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust.scopes import granted, remaining
from services.auth.trust.work import Work, Works
from shared.schemas import new_id

_SAME_ANSWER = timedelta(seconds=10)


class Refreshing:
    def __init__(self, works: Works, issuer: TokenIssuer, successors: Successors) -> None:
        self._works, self._issuer, self._successors = works, issuer, successors

    async def refresh(self, refresh_token: str, requested: frozenset[str], source: str | None) -> TokenPair:
        """Exchange a refresh token; however many do at once, all get a fresh access token and the same successor.

        Raises RefreshTokenRefused, RefreshTokenReused, ScopeNotAllowed.
        """
        async with self._works.begin(source) as work:
            if pair := await self._exchanged(work, refresh_token, requested):
                return pair
        # In a work of its own, with a lock that the exchange has no need of: a token that was reused stays so.
        async with self._works.begin(source) as work:
            await SessionEnder(work).end_by_refresh_token(refresh_token, action="session.token_reused")
            raise RefreshTokenReused

    async def _exchanged(self, work: Work, refresh_token: str, requested: frozenset[str]) -> TokenPair | None:
        """None for a token that was reused. Raises RefreshTokenRefused, ScopeNotAllowed."""
        link = await SessionRepository(work.session).find_held(refresh_token)
        if link is None or not link.is_alive:
            raise RefreshTokenRefused
        principal = await AccountRepository(work.session).hold_principal(link.session.user_id, link.session.tenant_id)
        if principal is None:
            raise RefreshTokenRefused
        successor = await self._successor(work, link, refresh_token)
        if successor is None:
            return None
        scopes = granted(requested, remaining(link.session.scope.split(), principal.scopes))
        return TokenPair(self._issuer.for_session(principal, scopes, link.session.id), successor)

    async def _successor(self, work: Work, link: Link, refresh_token: str) -> str | None:
        """The one successor. None when the token was reused.

        Raises RefreshTokenRefused for one that cannot be made again, as it was made under another secret.
        """
        sessions = SessionRepository(work.session)
        if link.is_usable and await sessions.use(link.token):
            successor_id = new_id()
            successor = self._successors.make(refresh_token, successor_id)
            sessions.add_successor(link.token, successor_id, successor)
            return successor
        child = await sessions.find_unused_child(link.token, used_within=_SAME_ANSWER)
        if child is None:
            return None
        successor = self._successors.make(refresh_token, child.id)
        if not child.is_kept_as(successor):
            raise RefreshTokenRefused
        return successor
