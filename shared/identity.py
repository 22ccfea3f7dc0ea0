"""What a service asks of auth: a token of its own, public keys, what an API key stands for, what was revoked."""

import asyncio
import base64
import time
from collections.abc import Sequence
from typing import Any

import jwt

from shared.errors import NotFound, ServiceError, Unavailable
from shared.http import ServiceClient
from shared.revocations import Changes, Revocation

_CALL_SECONDS = 3.0
_KEYS_SECONDS = 300
_REFETCH_SECONDS = 60  # unknown key ids must not let a caller make us hammer auth
_RENEW_SECONDS = 60  # before a token of our own ends


class ServiceIdentity:
    """This service as a client of auth (RFC 6749, section 4.4): proves itself with its secret, renews in time."""

    def __init__(self, client: ServiceClient, name: str, secret: str) -> None:
        self._client, self._name = client, name
        self._basic = "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
        self._token = ""
        self._renew_at = 0.0
        self._renewing = asyncio.Lock()

    async def token(self) -> str:
        """An access token of the service itself. Raises Unavailable, also when auth does not accept our secret."""
        async with self._renewing:
            if time.monotonic() >= self._renew_at:
                await self._renew()
        return self._token

    async def _renew(self) -> None:
        try:
            answer = await self._client.call(
                "auth",
                "POST",
                "/api/v1/auth/token",
                form={"grant_type": "client_credentials"},
                headers={"authorization": self._basic},
                timeout_seconds=_CALL_SECONDS,
                idempotent=True,
            )
        except ServiceError as error:
            if error.status != 401:
                raise
            raise Unavailable("auth", detail=f"auth does not accept the secret of {self._name}.") from error
        body = answer.json()
        self._token = str(body["access_token"])
        self._renew_at = time.monotonic() + max(1.0, float(body["expires_in"]) - _RENEW_SECONDS)

    async def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """The JSON of auth's internal `path`, asked for as this service. Raises as ServiceClient.call, Unavailable."""
        try:
            answer = await self._client.call(
                "auth", method, path, token=await self.token(), timeout_seconds=_CALL_SECONDS, **kwargs
            )
        except NotFound as error:  # an auth of another version: not the caller's fault
            raise Unavailable("auth") from error
        return answer.json()


class RemoteKeys:
    """auth's JWKS, cached; stale keys serve while auth is away (`shared.tokens.KeySource`)."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find_key(self, key_id: str) -> jwt.PyJWK | None:
        """Raises Unavailable when auth was never reached. However many ask at once, they ask auth together."""
        asked_at = time.monotonic()
        if not self._is_answered(key_id):
            async with self._fetching:
                if not self._is_answered(key_id):
                    await self._try_to_fetch(asked_at)
        return self._keys.get(key_id)

    def _is_answered(self, key_id: str) -> bool:
        """Whether auth need not be asked: the key is known and fresh, or auth was asked a moment ago."""
        now = time.monotonic()
        is_fresh = key_id in self._keys and now - self._fetched_at <= _KEYS_SECONDS
        return is_fresh or (bool(self._keys) and now - self._tried_at < _REFETCH_SECONDS)

    async def _try_to_fetch(self, asked_at: float) -> None:
        if self._tried_at > asked_at:  # in vain, while we waited for it
            raise Unavailable("auth")
        self._tried_at = time.monotonic()
        try:
            await self.refresh()
        except ServiceError:
            if not self._keys:
                raise

    async def learn(self, key_ids: Sequence[str]) -> None:
        """Fetch the keys when auth has published one that is not known here, before anything is signed with it."""
        if not self._keys.keys() >= set(key_ids):
            await self.refresh()

    async def refresh(self) -> None:
        answer = await self._client.call("auth", "GET", "/api/v1/auth/jwks.json", timeout_seconds=_CALL_SECONDS)
        self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(answer.json()).keys if key.key_id}
        self._fetched_at = time.monotonic()


class RemoteApiKeys:
    """Exchanges keys at auth (`shared.security.ApiKeyExchange`)."""

    def __init__(self, identity: ServiceIdentity) -> None:
        self._identity = identity

    async def exchange(self, api_key: str) -> str:
        body = await self._identity.call("POST", "/internal/api-keys/exchange", json={"key": api_key}, idempotent=True)
        return str(body["access_token"])


class RemoteChanges:
    """What auth's access feed says (`shared.revocations.ChangesSource`)."""

    def __init__(self, identity: ServiceIdentity) -> None:
        self._identity = identity

    async def changes(self, since: float) -> Changes:
        body = await self._identity.call("GET", "/internal/access/changes", params={"since": since})
        revocations = [
            Revocation(one["expires_at"], one["subject"], one["issued_until"]) for one in body["revocations"]
        ]
        return Changes(body["as_of"], revocations, body["key_ids"])
