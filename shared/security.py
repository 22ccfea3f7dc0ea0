"""The door of every service: who is calling, and whether they hold what the route demands.

The gateway is not the trust point, and identity headers mean nothing here. An API key is exchanged at auth for the same
kind of token a login gives, so everything behind this file sees one kind of caller.
"""

import functools
import hashlib
import inspect
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from cachetools import TTLCache
from fastapi import Request, Response
from fastapi.requests import HTTPConnection
from fastapi.routing import APIRoute

from shared import api_keys
from shared.errors import Unauthenticated
from shared.ratelimit import LimitName, RateLimiter
from shared.tokens import Caller, TokenVerifier

BEARER, API_KEY = "bearer", "apiKey"
SECURITY_SCHEMES = {
    BEARER: {"type": "oauth2", "flows": {"password": {"scopes": {}, "tokenUrl": "/api/v1/auth/token"}}},
    API_KEY: {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""The credentials of the OpenAPI documents: either of the two."""
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_CALLER = "sutazai.caller"
_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})
_CACHE_SECONDS = 60  # how long an API key is taken for the token it was exchanged for
_CACHED = 10_000


class ApiKeyExchange(Protocol):
    """Turns an API key into an access token."""

    async def exchange(self, api_key: str) -> str:
        """Raises Unauthenticated for a key that is unknown, revoked or expired."""


class ApiKeyCallers:
    """Who API keys stand for: asked once a minute, and not at all for what cannot be a key of ours.

    A revoked key is refused sooner: its tokens are on the list of revocations.
    """

    def __init__(self, exchange: ApiKeyExchange, verifier: TokenVerifier) -> None:
        self._exchange, self._verifier = exchange, verifier
        self._callers: TTLCache[bytes, Caller] = TTLCache(maxsize=_CACHED, ttl=_CACHE_SECONDS)

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
                return caller  # otherwise a logout ended the token, and not the key
        token = await self._exchange.exchange(api_key)
        caller = self._callers[digest] = await self._verifier.verify(token)
        return caller


class Authenticator:
    """The door: reads the credential of a request and answers who it is."""

    def __init__(self, verifier: TokenVerifier, exchange: ApiKeyExchange) -> None:
        self._verifier = verifier
        self._api_keys = ApiKeyCallers(exchange, verifier)

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """From headers as ASGI gives them. Raises Unauthenticated without a valid credential."""
        given = dict(reversed([header for header in headers if header[0] in _CREDENTIALS]))  # the first of each counts
        scheme, _, token = given.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() == "bearer" and token:
            return await self._verifier.verify(token.strip())
        api_key = given.get(b"x-api-key", b"").decode("latin-1")
        if not scheme and api_key and len(api_key) <= 256:
            return await self._api_keys.find(api_key)
        raise Unauthenticated


async def authenticate(request: Request) -> Caller:
    """Whoever the credential of this request stands for, with whatever scopes. Raises Unauthenticated."""
    authenticator: Authenticator = request.state.platform.authenticator
    return await authenticator.authenticate(request.scope["headers"])


def caller_of(request: Request) -> Caller:
    """The caller that the route demanded. Raises LookupError where it demanded none."""
    # In the scope, not in `request.state`: some servers share one state among all requests.
    caller: Caller = request.scope[_CALLER]
    return caller


@dataclass(frozen=True, slots=True)
class Demand:
    """What a route demands of its caller."""

    scopes: tuple[str, ...]
    body: str | None
    limit: LimitName | None

    async def admit(self, request: Request) -> None:
        """Let the caller in, who is counted. Raises Unauthenticated, MissingScope, RateLimited."""
        scope = request.scope
        platform = scope["state"]["platform"]  # `request.state` makes an object for each question
        authenticator: Authenticator = platform.authenticator
        caller = await authenticator.authenticate(scope["headers"])
        for one in self.scopes:
            if not caller.allows(one):
                caller.require(one, await self._object_of(request))
        limiter: RateLimiter = platform.rate_limiter
        await limiter.admit_caller(scope, self.limit, caller.owner, caller.key_id)
        scope[_CALLER] = caller

    async def _object_of(self, request: Request) -> str | None:
        """The object the request is about; asked only for callers whose scopes are narrowed to single objects."""
        if self.body is None:
            return next((str(value).lower() for value in request.path_params.values()), None)
        try:
            body = await request.json()
        except ValueError:
            return None
        named = body.get(self.body) if isinstance(body, dict) else None
        return named if isinstance(named, str) else None

    @property
    def alternatives(self) -> list[dict[str, list[str]]]:
        """The `security` of its operation in the OpenAPI document."""
        return [{BEARER: list(self.scopes)}, {API_KEY: list(self.scopes)}]


def requires(*scopes: str, body: str | None = None, limit: LimitName | None = None) -> Demand:
    """`caller: Annotated[Caller, requires("agents:read")]` — the only way a route names its scope.

    A scope narrowed to one object (`agents:<id>:read`) serves where the route is about that object: the first parameter
    of its path, or the member of the body named by `body`. Routes about many objects need the scope itself.

    Heavier operations name the limit that they count against; the others count as reading or writing by their method.
    """
    return Demand(scopes, body, limit)


class GuardedRoute(APIRoute):
    """The route class of every route: asks who is there before anything of the request is read or checked.

    So nobody without a credential has us parse megabytes, and no token is 401 whatever the body is. The caller is
    handed to the endpoint here and not by FastAPI's dependencies, which would take longer than the door itself.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Raises TypeError for an endpoint that would block the event loop, or that demands more than one caller."""
        if not inspect.iscoroutinefunction(endpoint):
            raise TypeError(f"{endpoint!r} is no coroutine function")
        self.demand, endpoint = _demanded(endpoint)
        if self.demand:
            options["openapi_extra"] = {"security": self.demand.alternatives, **(options.get("openapi_extra") or {})}
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        handle, demand = self.inside(super().get_route_handler()), self.demand
        if demand is None:
            return handle

        async def guarded(request: Request) -> Response:
            await demand.admit(request)
            return await handle(request)

        return guarded

    def inside(self, handle: Handler) -> Handler:
        """What a route class adds for callers who were let in."""
        return handle


def _demanded(endpoint: Callable[..., Any]) -> tuple[Demand | None, Callable[..., Any]]:
    """What `endpoint` demands, and how FastAPI is to see it: with the connection in place of the caller."""
    signature = inspect.signature(endpoint, eval_str=True)
    demands = {
        name: demand
        for name, parameter in signature.parameters.items()
        for demand in getattr(parameter.annotation, "__metadata__", ())
        if isinstance(demand, Demand)
    }
    if not demands:
        return None, endpoint
    if len(demands) > 1:
        raise TypeError(f"{endpoint!r} demands {len(demands)} callers")
    [(caller, demand)] = demands.items()

    @functools.wraps(endpoint)
    async def seen(**values: Any) -> Any:
        values[caller] = caller_of(values[caller])
        return await endpoint(**values)

    connection = signature.parameters[caller].replace(annotation=HTTPConnection)
    parameters = {**signature.parameters, caller: connection}
    seen.__signature__ = signature.replace(parameters=list(parameters.values()))  # type: ignore[attr-defined]
    return demand, seen
