"""An API key becomes an access token: for auth's own routes, for other services, for OAuth clients."""

import hmac
from dataclasses import dataclass

from services.auth.entry.api_keys.hashing import KeyHasher
from services.auth.entry.api_keys.last_used import LastUsed
from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.entry.issuing.issuer import AccessToken, TokenIssuer
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust.scopes import granted, remaining
from shared.errors import Unauthenticated
from shared.postgres import Database


@dataclass(frozen=True, slots=True)
class LocalApiKeys:
    """Looks keys up in auth's own database (`shared.identity.ApiKeyExchange`)."""

    database: Database
    hasher: KeyHasher
    issuer: TokenIssuer
    last_used: LastUsed

    async def exchange(self, api_key: str) -> str:
        """Raises Unauthenticated for a key that is malformed (without a query), unknown, revoked or expired."""
        return (await self.token_for(api_key)).token

    async def token_for(self, api_key: str, requested: frozenset[str] = frozenset()) -> AccessToken:
        """As `exchange`, with the token's life; with fewer scopes when some were asked for. Raises ScopeNotAllowed."""
        parsed = self.hasher.parse(api_key)
        if parsed is None:
            raise Unauthenticated
        public_id, secret_hash = parsed
        async with self.database.session() as session:
            key = await ApiKeyRepository(session).find_usable(public_id)
            if key is None or not hmac.compare_digest(key.secret_hash, secret_hash):
                raise Unauthenticated
            owner = await AccountRepository(session).hold_principal(key.user_id, key.tenant_id)
            if owner is None:
                raise Unauthenticated
            self.last_used.note(key.id)
            scopes = granted(requested, remaining(key.scopes, owner.scopes))
            return self.issuer.for_api_key(owner, scopes, key.id, key.expires_at)
