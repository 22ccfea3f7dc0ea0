"""What becomes of tokens: one is made to act for a user, others are looked at or revoked."""

from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.entry.issuing.issuer import AccessToken, Origin, TokenIssuer
from services.auth.entry.sessions.ending import SessionEnder
from services.auth.entry.sessions.repository import Link, SessionRepository
from services.auth.entry.tokens.schemas import Delegation
from services.auth.errors import DelegationRefused
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust.audit.actions import Action
from services.auth.trust.audit.entries import acting
from services.auth.trust.refusals import RefusalLog
from services.auth.trust.work import Works
from shared.errors import Unauthenticated
from shared.identity import SERVICE_PREFIX, Caller, TokenForged, TokenVerifier, is_covered


class TokenService:
    def __init__(self, works: Works, issuer: TokenIssuer, verifier: TokenVerifier, refusals: RefusalLog) -> None:
        self._works, self._issuer, self._verifier, self._refusals = works, issuer, verifier, refusals

    async def delegate(self, service: Caller, body: Delegation) -> AccessToken:
        """A token by which a service acts for a user, with no more than the user's rights.

        It ends with the API key or the session that is named. Raises DelegationRefused (unknown or disabled user, not
        of the tenant, scopes beyond the user's, a key or session that has ended), which is noted.
        """
        token = await self._delegated(service, body)
        named = {"key_id": body.key_id, "session_id": body.session_id}
        await self._works.note(  # both names: the service that acts, and the user whom it acts for
            Action.DELEGATION_GIVEN if token else Action.DELEGATION_REFUSED,
            actor=service.subject,
            tenant_id=body.tenant_id,
            target=body.subject,
            **{name: value for name, value in named.items() if value},
        )
        if token is None:
            raise DelegationRefused
        return token

    async def _delegated(self, service: Caller, body: Delegation) -> AccessToken | None:
        async with self._works.begin() as work:
            principal = await AccountRepository(work.session).hold_principal(body.subject, body.tenant_id)
            origin = await _find_origin(work.session, body)
            if principal is None or origin is None:
                return None
            if not all(is_covered(scope, principal.scopes) for scope in body.scopes):
                return None
            name = service.subject.removeprefix(SERVICE_PREFIX)
            return self._issuer.for_delegate(principal, body.scopes, name, origin)

    async def introspect(self, caller: Caller, token: str, source: str | None) -> Caller | Link | None:
        """Whom an access token stands for, or the session that a refresh token goes on with; None when it is neither.

        An access token may have expired a moment ago.
        """
        found: Caller | Link | None = await self._verified(token, caller, source)
        if found is None:
            async with self._works.begin() as work:
                link = await SessionRepository(work.session).find(token)
            found = link if link and link.is_usable else None
        tenant_id, user_id = _owner(found)
        await self._works.note(
            Action.TOKEN_INTROSPECTED,
            source=source,
            actor=caller.subject,
            tenant_id=tenant_id,
            target=user_id,
            **acting(caller),
        )
        return found

    async def revoke(self, token: str, source: str | None) -> None:
        """End a token: an access token alone, a refresh token with its session. Unknown ones are ended already."""
        caller = await self._verified(token, None, source)
        async with self._works.begin(source) as work:
            if caller is None:
                await SessionEnder(work).end_by_refresh_token(token)
                return
            work.access.end_token(caller.token_id)
            work.note(Action.TOKEN_REVOKED, by=caller, target=caller.token_id)

    async def _verified(self, token: str, by: Caller | None, source: str | None) -> Caller | None:
        if token.count(".") != 2:
            return None
        try:
            return await self._verifier.verify(token)
        except TokenForged as forged:
            await self._refusals.note(forged, by, source)
            return None
        except Unauthenticated:
            return None


def _owner(found: Caller | Link | None) -> tuple[str | None, str | None]:
    """The tenant and the user whose token it is."""
    match found:
        case Caller():
            return found.tenant_id, found.subject
        case Link():
            return found.session.tenant_id, found.session.user_id
        case None:
            return None, None


async def _find_origin(session: AsyncSession, body: Delegation) -> Origin | None:
    """The user's key or session that is named, or none where none is; None when it has ended.

    What was begun with a key that was rotated since goes on under the one that replaced it.
    """
    if body.key_id:
        key = await ApiKeyRepository(session).find_heir(body.tenant_id, body.subject, body.key_id)
        return Origin(key_id=key.id, ends_at=key.expires_at) if key else None
    if body.session_id:
        login = await SessionRepository(session).find_alive(body.tenant_id, body.subject, body.session_id)
        return Origin(session_id=login.id, ends_at=login.expires_at) if login else None
    return Origin()
