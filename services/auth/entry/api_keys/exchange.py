"""An API key becomes an access token: for auth's own routes, for other services, for OAuth clients."""

import hmac
from dataclasses import dataclass

from services.auth.entry.api_keys.hashing import KeyHasher
from services.auth.entry.api_keys.last_used import LastUsed
from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.entry.issuing.issuer import AccessToken, TokenIssuer
from services.auth.errors import ApiKeyUnusable
from services.auth.models import ApiKey
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust.refusals import RefusalLog
from services.auth.trust.scopes import granted, remaining
from shared.errors import Unauthenticated
from shared.identity import Caller
from shared.postgres import Database


@dataclass(frozen=True, slots=True)
class LocalApiKeys:
    """Looks keys up in auth's own database (`shared.identity.ApiKeyExchange`)."""

    database: Database
    hasher: KeyHasher
    issuer: TokenIssuer
    last_used: LastUsed

    async def exchange(self, api_key: str) -> str:
        """Raises Unauthenticated for a key that is malformed (without a query) or unknown, ApiKeyUnusable."""
        return (await self.token_for(api_key)).token

    async def token_for(self, api_key: str, requested: frozenset[str] = frozenset()) -> AccessToken:
        """As `exchange`, with the token's life; with fewer scopes when some were asked for. Raises ScopeNotAllowed.

        ApiKeyUnusable, which is an Unauthenticated, for one that is known: a wrong secret, or a key that is over.
        """
        parsed = self.hasher.parse(api_key)
        if parsed is None:
            raise Unauthenticated
        public_id, secret_hash = parsed
        async with self.database.session() as session:
            key = await ApiKeyRepository(session).find_by_public_id(public_id)
            if key is None:
                raise Unauthenticated
            _require_usable(key, secret_hash)
            owner = await AccountRepository(session).hold_principal(key.user_id, key.tenant_id)
            if owner is None:
                raise _unusable(key, "owner_gone")
            self.last_used.note(key.id)
            scopes = granted(requested, remaining(key.scopes, owner.scopes))
            return self.issuer.for_api_key(owner, scopes, key.id, key.expires_at)


class ExchangeService:
    """The same for who asks with a key in a body, where no door has looked at it: what is refused is noted."""

    def __init__(self, api_keys: LocalApiKeys, refusals: RefusalLog) -> None:
        self._api_keys, self._refusals = api_keys, refusals

    async def token_for(
        self, api_key: str, requested: frozenset[str] = frozenset(), *, by: Caller | None, source: str | None
    ) -> AccessToken:
        """As `LocalApiKeys.token_for`; `by` is the service that was given the key."""
        try:
            return await self._api_keys.token_for(api_key, requested)
        except ApiKeyUnusable as refused:
            await self._refusals.note(refused, by, source)
            raise


def _require_usable(key: ApiKey, secret_hash: bytes) -> None:
    """Raises ApiKeyUnusable."""
    if not hmac.compare_digest(key.secret_hash, secret_hash):
        raise _unusable(key, "wrong_secret")
    if key.revoked_at:
        raise _unusable(key, "revoked")
    if key.has_expired:
        raise _unusable(key, "expired")


def _unusable(key: ApiKey, reason: str) -> ApiKeyUnusable:
    return ApiKeyUnusable(key_id=key.id, tenant_id=key.tenant_id, reason=reason)
