"""Keeping a session alive.

A refresh token has one successor. What happens to one that comes again is decided by what became of that:

    nobody used it, within 10 s     a second tab, or the answer was lost: the same successor once more
    it was used, or later           somebody has a copy, and the session ends
"""

import time
from dataclasses import dataclass, field
from datetime import timedelta

from services.auth.entry.issuing.issuer import TokenIssuer
from services.auth.entry.issuing.pair import TokenPair
from services.auth.entry.sessions.ending import SessionEnder
from services.auth.entry.sessions.repository import Link, SessionRepository
from services.auth.entry.sessions.successors import Successors
from services.auth.errors import RefreshTokenRefused, RefreshTokenReused
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust.audit.actions import Action
from services.auth.trust.scopes import granted, remaining
from services.auth.trust.work import Work, Works
from shared.errors import Unavailable
from shared.limits import Turns
from shared.schemas import new_id

_SAME_ANSWER = timedelta(seconds=10)
# Less than half of the connections; more would wait for one another in the database, and leave none to the others.
_AT_ONCE, _WAITING, _WAITING_WITH_ONE_TOKEN = 8, 512, 128


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request."""

    token: str
    scopes: frozenset[str]
    came_at: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> timedelta:
        """How long it has waited; no wait makes a repetition late."""
        return timedelta(seconds=time.monotonic() - self.came_at)


def _too_many() -> Unavailable:
    return Unavailable("auth", retry_after_seconds=1, detail="Too many refresh at once.")


class Refreshing:
    def __init__(self, works: Works, issuer: TokenIssuer, successors: Successors) -> None:
        self._works, self._issuer, self._successors = works, issuer, successors
        self._turns = Turns(_AT_ONCE, waiting=_WAITING, per_source=_WAITING_WITH_ONE_TOKEN)

    async def refresh(self, refresh_token: str, requested: frozenset[str], source: str | None) -> TokenPair:
        """Exchange a refresh token; however many do at once, all get a fresh access token and the same successor.

        Raises RefreshTokenRefused, RefreshTokenReused, ScopeNotAllowed, Unavailable when too many wait.
        """
        asked = _Asked(refresh_token, requested)
        # Tokens take turns: a crowd with one of them holds up nobody else, and none holds all connections.
        async with self._turns.turn(asked.token, _too_many):
            async with self._works.begin(source) as work:
                if pair := await self._exchanged(work, asked):
                    return pair
            # In a work of its own, with a lock that the exchange has no need of: a token that was reused stays so.
            async with self._works.begin(source) as work:
                await SessionEnder(work).end_by_refresh_token(refresh_token, action=Action.SESSION_TOKEN_REUSED)
                raise RefreshTokenReused

    async def _exchanged(self, work: Work, asked: _Asked) -> TokenPair | None:
        """None for a token that was reused. Raises RefreshTokenRefused, ScopeNotAllowed."""
        link = await SessionRepository(work.session).find_held(asked.token)
        if link is None or not link.is_alive:
            raise RefreshTokenRefused
        principal = await AccountRepository(work.session).hold_principal(link.session.user_id, link.session.tenant_id)
        if principal is None:
            raise RefreshTokenRefused
        successor = await self._successor(work, link, asked)
        if successor is None:
            return None
        scopes = granted(asked.scopes, remaining(link.session.scope.split(), principal.scopes))
        token = self._issuer.for_session(principal, scopes, link.session.id, link.session.expires_at)
        return TokenPair(token, successor)

    async def _successor(self, work: Work, link: Link, asked: _Asked) -> str | None:
        """The one successor. None when the token was reused.

        Raises RefreshTokenRefused for one that cannot be made again, as it was made under another secret.
        """
        sessions = SessionRepository(work.session)
        if link.is_usable and await sessions.use(link.token):
            successor_id = new_id()
            successor = self._successors.make(asked.token, successor_id)
            sessions.add_successor(link.token, successor_id, successor)
            return successor
        child = await sessions.find_unused_child(link.token, used_within=_SAME_ANSWER + asked.age)
        if child is None:
            return None
        successor = self._successors.make(asked.token, child.id)
        if not child.is_kept_as(successor):
            raise RefreshTokenRefused
        session = link.session
        work.note(Action.SESSION_TOKEN_REPEATED, actor=session.user_id, tenant_id=session.tenant_id, target=session.id)
        return successor
