"""An API key becomes an access token: for auth's own routes here, for other services through the internal route."""

import hmac

from services.auth.api_keys.format import ApiKeyFormat
from services.auth.api_keys.repository import ApiKeyRepository
from services.auth.scopes import scopes_of
from services.auth.tokens.issuer import AccessToken, TokenIssuer
from shared.db import Database
from shared.errors import Unauthenticated


class LocalApiKeys:
    """Looks keys up in auth's own database (`shared.security.ApiKeyExchange`)."""

    def __init__(self, database: Database, key_format: ApiKeyFormat, issuer: TokenIssuer) -> None:
        self._database, self._format, self._issuer = database, key_format, issuer

    async def exchange(self, api_key: str) -> str:
        """Raises Unauthenticated for a key that is malformed (without a query), unknown, revoked or expired."""
        return (await self.token_for(api_key)).token

    async def token_for(self, api_key: str) -> AccessToken:
        """As `exchange`, with the token's life."""
        parsed = self._format.parse(api_key)
        if parsed is None:
            raise Unauthenticated
        public_id, secret_hash = parsed
        async with self._database.session() as session:
            found = await ApiKeyRepository(session).find_usable(public_id)
        if found is None or not hmac.compare_digest(found[0].secret_hash, secret_hash):
            raise Unauthenticated
        key, owner = found
        # A right the owner has lost since is lost to the key as well.
        return self._issuer.for_api_key(owner, scopes_of(is_admin=owner.is_admin).intersection(key.scopes), key.id)
