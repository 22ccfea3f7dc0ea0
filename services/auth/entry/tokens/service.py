"""What happens to tokens beside logins and sessions: clients, delegation, introspection, revocation."""

import time
from dataclasses import dataclass

from services.auth.entry.api_keys.exchange import LocalApiKeys
from services.auth.entry.clients.registry import ServiceClients
from services.auth.entry.issuing.issuer import AccessToken, TokenIssuer
from services.auth.entry.sessions.repository import SessionRepository
from services.auth.entry.sessions.service import SessionService
from services.auth.entry.tokens.schemas import Introspection
from services.auth.errors import DelegationRefused, WrongClient
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust.scopes import granted
from services.auth.trust.work import Works
from shared.errors import Unauthenticated
from shared.identity import PREFIX, SERVICE_PREFIX, Caller, TokenVerifier, is_covered


@dataclass(frozen=True, slots=True)
class TokenService:
    works: Works
    issuer: TokenIssuer
    clients: ServiceClients
    api_keys: LocalApiKeys
    verifier: TokenVerifier

    async def for_client(self, client_id: str, client_secret: str, requested: frozenset[str]) -> AccessToken:
        """A token for a service, or for the program that holds an API key. Raises WrongClient, ScopeNotAllowed."""
        if client_id.startswith(PREFIX):
            if not client_secret.startswith(client_id):
                raise WrongClient
            try:
                return await self.api_keys.token_for(client_secret, requested)
            except Unauthenticated as error:
                raise WrongClient from error
        allowed = self.clients.authenticate(client_id, client_secret)
        if allowed is None:
            await self._note_refused(client_id)
            raise WrongClient
        return self.issuer.for_service(client_id, granted(requested, allowed))

    async def _note_refused(self, client_id: str) -> None:
        if self.clients.knows(client_id):  # what else was typed may be anything, a secret too
            async with self.works.begin() as work:
                work.note("client.refused", target=client_id)

    async def delegate(self, service: Caller, subject: str, tenant_id: str, scopes: frozenset[str]) -> AccessToken:
        """A token by which a service acts for a user, with no more than the user's rights.

        Raises DelegationRefused (unknown or disabled user, not of the tenant, scopes beyond the user's).
        """
        async with self.works.begin() as work:
            principal = await AccountRepository(work.session).hold_principal(subject, tenant_id)
            if principal is None or not all(is_covered(scope, principal.scopes) for scope in scopes):
                raise DelegationRefused
            return self.issuer.for_delegate(principal, scopes, service.subject.removeprefix(SERVICE_PREFIX))

    async def introspect(self, token: str) -> Introspection:
        """Whether the token is good now, and what it says."""
        if caller := await self._verified(token):
            return _of_caller(caller)
        async with self.works.begin() as work:
            link = await SessionRepository(work.session).find(token)
        if link is None or not link.is_alive or link.token.used_at or link.token.superseded_at:
            return Introspection(active=False)
        return Introspection(
            active=True,
            token_type="refresh_token",  # noqa: S106 - the type's name
            scope=link.session.scope,
            sub=link.session.user_id,
            tid=link.session.tenant_id,
            jti=link.token.id,
            iat=int(link.token.created_at.timestamp()),
            exp=int(link.session.expires_at.timestamp()),
        )

    async def revoke(self, token: str, source: str | None) -> None:
        """End a token: an access token alone, a refresh token with its session. Unknown ones are ended already."""
        if caller := await self._verified(token):
            async with self.works.begin(source) as work:
                work.access.end_token(caller.token_id)
                work.note("token.revoked", actor=caller.subject, tenant_id=caller.tenant_id, target=caller.token_id)
            return
        async with self.works.begin(source) as work:
            await SessionService(work, self.issuer).end_by_refresh_token(token)

    async def _verified(self, token: str) -> Caller | None:
        if token.count(".") != 2:
            return None
        try:
            return await self.verifier.verify(token)
        except Unauthenticated:
            return None


def _of_caller(caller: Caller) -> Introspection:
    return Introspection(
        active=caller.expires_at > time.time(),
        token_type="access_token",  # noqa: S106 - the type's name
        scope=" ".join(sorted(caller.scopes)),
        sub=caller.subject,
        tid=caller.tenant_id,
        jti=caller.token_id,
        iat=int(caller.issued_at),
        exp=int(caller.expires_at),
        act=caller.actor,
    )
