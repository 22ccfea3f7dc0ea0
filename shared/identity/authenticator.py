"""Reads the credential of a request and answers who it is.

The gateway is not the trust point, and identity headers mean nothing here. An API key is exchanged at auth for the same
kind of token a login gives, so everything behind this file sees one kind of caller.
"""

import hashlib
import random
from collections.abc import Iterable
from typing import Protocol

from cachetools import TLRUCache

from shared.errors import Unauthenticated
from shared.identity import api_keys
from shared.identity.caller import Caller
from shared.identity.tokens import TokenVerifier

_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})
_KEPT_SECONDS = (30.0, 60.0)  # how long an API key is taken for the token it was exchanged for
_CACHED = 10_000


class ApiKeyExchange(Protocol):
    """Turns an API key into an access token."""

    async def exchange(self, api_key: str) -> str:
        """Raises Unauthenticated for a key that is unknown, revoked or expired."""


def kept_until(_digest: bytes, _caller: Caller, now: float) -> float:
    """A time of its own for each key, so that a thousand that came at once are not all asked for at once again."""
    return now + random.uniform(*_KEPT_SECONDS)


class ApiKeyCallers:
    """Who API keys stand for: asked once or twice a minute, and not at all for what cannot be a key of ours.

    A revoked key is refused sooner: its tokens are on the list of revocations.
    """

    def __init__(self, exchange: ApiKeyExchange, verifier: TokenVerifier) -> None:
        self._exchange, self._verifier = exchange, verifier
        self._callers: TLRUCache[bytes, Caller] = TLRUCache(maxsize=_CACHED, ttu=kept_until)

    async def find(self, api_key: str) -> Caller:
        """Raises Unauthenticated, Unavailable."""
        digest = hashlib.sha256(api_key.encode()).digest()
        try:
            caller = self._callers[digest]  # and no `get`, which looks twice
        except KeyError:
            if api_keys.parse(api_key) is None:
                raise Unauthenticated from None
        else:
            if await self._verifier.is_valid(caller):
                return caller  # otherwise the token is over or a logout ended it, and perhaps not the key
        token = await self._exchange.exchange(api_key)
        caller = self._callers[digest] = await self._verifier.verify(token)
        return caller


class Authenticator:
    """The door: reads the credential of a request and answers who it is."""

    def __init__(self, verifier: TokenVerifier, exchange: ApiKeyExchange) -> None:
        self._verifier = verifier
        self._api_keys = ApiKeyCallers(exchange, verifier)

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """From headers as ASGI gives them. Raises Unauthenticated without a valid credential.

        A bearer token counts before a key, and may be a key itself, as OpenAI's clients send theirs; what else is in
        `Authorization` is somebody else's, such as a proxy's Basic.
        """
        token, api_key = _given(headers)
        if token:
            return await self._verifier.verify(token)
        if api_key and len(api_key) <= 256:
            return await self._api_keys.find(api_key)
        raise Unauthenticated

    async def recognise(self, caller: Caller) -> Caller:
        """The caller, whose token was verified before. Raises Unauthenticated when it is over or was revoked."""
        if not await self._verifier.is_valid(caller):
            raise Unauthenticated
        return caller


def brings_credential(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether there is a bearer token or a key in the headers, valid or not."""
    return any(_given(headers))


def _given(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """A bearer token and an API key, of which one at least is empty."""
    given = dict(reversed([header for header in headers if header[0] in _CREDENTIALS]))  # the first of each counts
    scheme, _, token = given.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        token = token.strip()
        return ("", token) if token.startswith(api_keys.PREFIX) else (token, "")
    return "", given.get(b"x-api-key", b"").decode("latin-1")
