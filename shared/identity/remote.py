"""What auth is asked for: public keys, what an API key stands for, what was revoked."""

import time
from collections.abc import Sequence

import jwt

from shared import telemetry
from shared.calls import ServiceClient
from shared.errors import ServiceError
from shared.identity.client import CALL_SECONDS, ServiceIdentity
from shared.identity.feed import Changes
from shared.identity.revocations import Revocation
from shared.identity.together import Together

_KEYS_SECONDS = 300
_REFETCH_SECONDS = 60  # unknown key ids must not let a caller make us hammer auth


class RemoteKeys:
    """auth's JWKS, cached; stale keys serve while auth is away (`shared.identity.KeySource`)."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = Together(self._try_to_fetch, seconds=CALL_SECONDS, name="keys of auth")

    async def find_key(self, key_id: str) -> jwt.PyJWK | None:
        """Raises Unavailable when auth was never reached. However many ask at once, they ask auth together."""
        if not self._is_answered(key_id):
            await self._fetching.attempt()
        return self._keys.get(key_id)

    def _is_answered(self, key_id: str) -> bool:
        """Whether auth need not be asked: the key is known and fresh, or auth was asked a moment ago."""
        now = time.monotonic()
        is_fresh = key_id in self._keys and now - self._fetched_at <= _KEYS_SECONDS
        return is_fresh or (bool(self._keys) and now - self._tried_at < _REFETCH_SECONDS)

    async def _try_to_fetch(self) -> None:
        try:
            await self.refresh()
        except ServiceError:
            if not self._keys:
                raise
        finally:
            self._tried_at = time.monotonic()

    async def learn(self, key_ids: Sequence[str]) -> None:
        """Fetch the keys when auth has published one that is not known here, before anything is signed with it."""
        if not self._keys.keys() >= set(key_ids):
            await self.refresh()

    async def refresh(self) -> None:
        answer = await self._client.call("auth", "GET", "/api/v1/auth/jwks.json", timeout_seconds=CALL_SECONDS)
        self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(answer.json()).keys if key.key_id}
        self._fetched_at = time.monotonic()


class RemoteApiKeys:
    """Exchanges keys at auth (`shared.identity.ApiKeyExchange`)."""

    def __init__(self, identity: ServiceIdentity) -> None:
        self._identity = identity

    async def exchange(self, api_key: str) -> str:
        body = await self._identity.call("POST", "/internal/api-keys/exchange", json={"key": api_key}, idempotent=True)
        return str(body["access_token"])


class RemoteChanges:
    """What auth's access feed says (`shared.identity.feed.ChangesSource`)."""

    def __init__(self, identity: ServiceIdentity) -> None:
        self._identity = identity

    async def changes(self, since: float) -> Changes:
        with telemetry.unrecorded():  # each service asks every second, for nobody
            body = await self._identity.call("GET", "/internal/access/changes", params={"since": since})
        revocations = [
            Revocation(one["expires_at"], one["subject"], one["issued_until"]) for one in body["revocations"]
        ]
        return Changes(body["as_of"], revocations, body["key_ids"])
