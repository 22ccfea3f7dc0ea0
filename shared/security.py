"""The door of every service: who is calling, and whether they hold what the route demands.

The gateway is not the trust point, and identity headers mean nothing here. An API key is exchanged at auth for the same
kind of token a login gives, so everything behind this file sees one kind of caller.
"""

import hashlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Protocol

from cachetools import TTLCache
from fastapi import Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer, SecurityScopes

from shared import api_keys
from shared.errors import Unauthenticated
from shared.ratelimit import LimitName, RateLimiter
from shared.routing import route_dependant
from shared.tokens import Caller, TokenVerifier

_CACHE_SECONDS = 60  # how long an API key is taken for the token it was exchanged for
_CACHED = 10_000


class ApiKeyExchange(Protocol):
    """Turns an API key into an access token."""

    async def exchange(self, api_key: str) -> str:
        """Raises Unauthenticated for a key that is unknown, revoked or expired."""


class CachedApiKeys:
    """Remembers for a minute what a key was exchanged for, and refuses without a call what cannot be a key of ours.

    A revoked key is refused sooner: its tokens are on the list of revocations.
    """

    def __init__(self, exchange: ApiKeyExchange) -> None:
        self._exchange = exchange
        self._tokens: TTLCache[bytes, str] = TTLCache(maxsize=_CACHED, ttl=_CACHE_SECONDS)

    async def exchange(self, api_key: str) -> str:
        """Raises Unauthenticated, Unavailable."""
        digest = hashlib.sha256(api_key.encode()).digest()
        token = self._tokens.get(digest)
        if token is None:
            if api_keys.parse(api_key) is None:
                raise Unauthenticated
            token = self._tokens[digest] = await self._exchange.exchange(api_key)
        return token

    def forget(self, api_key: str) -> None:
        """Have the next exchange ask auth."""
        self._tokens.pop(hashlib.sha256(api_key.encode()).digest(), None)


class Authenticator:
    """The door: reads the credential of a request and answers who it is."""

    def __init__(self, verifier: TokenVerifier, api_keys: CachedApiKeys) -> None:
        self._verifier = verifier
        self._api_keys = api_keys

    async def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """Raises Unauthenticated without a valid credential."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return await self._verifier.verify(token.strip())
        if not scheme and (api_key := headers.get("x-api-key")) and len(api_key) <= 256:
            return await self._by_api_key(api_key)
        raise Unauthenticated

    async def _by_api_key(self, api_key: str) -> Caller:
        token = await self._api_keys.exchange(api_key)
        try:
            return await self._verifier.verify(token)
        except Unauthenticated:  # a logout ends the token that was remembered, and not the key
            self._api_keys.forget(api_key)
            return await self._verifier.verify(await self._api_keys.exchange(api_key))


async def authenticate(request: Request) -> Caller:
    """The caller of this request, worked out once however often it is asked for."""
    # In the scope, not in `request.state`: some servers share one state among all requests.
    known: Caller | None = request.scope.get("sutazai.caller")
    if known is None:
        authenticator: Authenticator = request.state.platform.authenticator
        known = request.scope["sutazai.caller"] = await authenticator.authenticate(request.headers)
    return known


class CallerScheme(OAuth2PasswordBearer):
    """The caller, holding every scope the route declares and within its limits, as one dependency.

    It also is the entry in the OpenAPI document.
    """

    def __init__(self, body: str | None = None, limit: LimitName | None = None) -> None:
        super().__init__(tokenUrl="/api/v1/auth/token", scheme_name=BEARER)
        self._body, self._limit = body, limit

    async def __call__(self, request: Request, required: SecurityScopes) -> Caller:  # type: ignore[override]
        """Raises Unauthenticated, MissingScope, RateLimited."""
        return await self.admit(request, required.scopes)

    async def admit(self, request: Request, scopes: Iterable[str]) -> Caller:
        """The caller; counted once, however often it is asked. Raises Unauthenticated, MissingScope, RateLimited."""
        caller = await authenticate(request)
        for scope in scopes:
            if not caller.allows(scope):
                caller.require(scope, await self._object_of(request))
        limiter: RateLimiter = request.state.platform.rate_limiter
        await limiter.admit_caller(request, self._limit, caller.owner, caller.key_id)
        return caller

    async def _object_of(self, request: Request) -> str | None:
        """The object the request is about; asked only for callers whose scopes are narrowed to single objects."""
        if self._body is None:
            return next((str(value).lower() for value in request.path_params.values()), None)
        try:
            body = await request.json()
        except ValueError:
            return None
        named = body.get(self._body) if isinstance(body, dict) else None
        return named if isinstance(named, str) else None


async def admit(request: Request) -> None:
    """Demand what the matched route demands, before its own dependencies do.

    Raises Unauthenticated, MissingScope, RateLimited.
    """
    for scheme, scopes in _demands(route_dependant(request.scope)):
        await scheme.admit(request, scopes)


class GuardedRoute(APIRoute):
    """The route class of routes with a body: FastAPI parses it before it asks who is there, this asks first.

    So nobody without a credential has us parse megabytes, and no token is 401 whatever the body is.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            await admit(request)
            return await handle(request)

        return guarded if self.body_field else handle


def _demands(dependant: Dependant) -> Iterator[tuple[CallerScheme, list[str]]]:
    if isinstance(dependant.call, CallerScheme):
        yield dependant.call, [*(dependant.parent_oauth_scopes or ()), *(dependant.own_oauth_scopes or ())]
    for part in dependant.dependencies:
        yield from _demands(part)


BEARER, API_KEY = "bearer", "apiKey"
API_KEY_SCHEME = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
_scheme = cache(CallerScheme)


def requires(*scopes: str, body: str | None = None, limit: LimitName | None = None) -> Any:
    """`caller: Annotated[Caller, requires("agents:read")]` — the only way a route names its scope.

    A scope narrowed to one object (`agents:<id>:read`) serves where the route is about that object: the first parameter
    of its path, or the member of the body named by `body`. Routes about many objects need the scope itself.

    Heavier operations name the limit that they count against; the others count as reading or writing by their method.
    """
    return Security(_scheme(body, limit), scopes=list(scopes))
