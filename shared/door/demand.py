"""What a route demands of its caller, and the check of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from shared.identity import Authenticator, Caller, brings_credential
from shared.limits import LimitName, RateLimiter

BEARER, API_KEY = "bearer", "apiKey"
SECURITY_SCHEMES = {
    BEARER: {"type": "oauth2", "flows": {"password": {"scopes": {}, "tokenUrl": "/api/v1/auth/token"}}},
    API_KEY: {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
"""The credentials of the OpenAPI documents: either of the two."""
_CALLER = "sutazai.caller"


async def authenticate(request: Request) -> Caller:
    """Whoever the credential of this request stands for, with whatever scopes. Raises Unauthenticated."""
    authenticator: Authenticator = request.state.platform.authenticator
    return await authenticator.authenticate(request.scope["headers"])


def caller_of(request: Request) -> Caller:
    """The caller that the route demanded. Raises LookupError where it demanded none."""
    # In the scope, not in `request.state`: some servers share one state among all requests.
    caller: Caller = request.scope[_CALLER]
    return caller


def known_caller(request: Request) -> Caller | None:
    """Whoever the request is known to come from, be they refused; None where nobody was asked, or found."""
    caller: Caller | None = request.scope.get(_CALLER)
    return caller


@dataclass(frozen=True, slots=True)
class Demand:
    """What a route demands of its caller."""

    scopes: tuple[str, ...]
    body: str | None
    limit: LimitName | Callable[[Request], LimitName | None] | None
    is_narrowed: bool = True
    otherwise: Callable[[Request], Awaitable[Caller | None]] | None = None
    about: Callable[[Request], Awaitable[str | None]] | None = None

    async def admit(self, request: Request) -> None:
        """Let the caller in, who is counted. Raises Unauthenticated, MissingScope, RateLimited."""
        scope = request.scope
        platform = scope["state"]["platform"]  # `request.state` makes an object for each question
        authenticator: Authenticator = platform.authenticator
        known = None
        if self.otherwise is not None and not brings_credential(scope["headers"]):
            known = await self.otherwise(request)
        if known is not None:
            caller = scope[_CALLER] = await authenticator.recognise(known)
        else:
            caller = scope[_CALLER] = await authenticator.authenticate(scope["headers"])
        limiter: RateLimiter = platform.rate_limiter
        limit = self.limit(request) if callable(self.limit) else self.limit
        await limiter.admit_caller(scope, limit, caller.owner, caller.key_id)
        for one in self.scopes:  # after counting: who is refused has asked, too
            if not caller.allows(one):
                caller.require(one, await self._object_of(request))

    @property
    def only_reads(self) -> bool:
        """Whether whoever is let in may do nothing but read, whatever the method."""
        return bool(self.scopes) and all(scope.endswith(":read") for scope in self.scopes)

    async def _object_of(self, request: Request) -> str | None:
        """The object the request is about; asked only for callers whose scopes are narrowed to single objects."""
        if not self.is_narrowed:
            return None
        if self.about is not None:
            return await self.about(request)
        if self.body is None:
            return next((str(value).lower() for value in request.path_params.values()), None)
        try:
            body = await request.json()
        except RequestValidationError as error:
            body = error.body  # to be refused for what it is, by those whom it would be about
        named = body.get(self.body) if isinstance(body, dict) else getattr(body, self.body, None)
        return named.lower() if isinstance(named, str) else None

    @property
    def alternatives(self) -> list[dict[str, list[str]]]:
        """The `security` of its operation in the OpenAPI document."""
        return [{BEARER: list(self.scopes)}, {API_KEY: list(self.scopes)}]


def requires(
    *scopes: str,
    body: str | None = None,
    limit: LimitName | Callable[[Request], LimitName | None] | None = None,
    otherwise: Callable[[Request], Awaitable[Caller | None]] | None = None,
    about: Callable[[Request], Awaitable[str | None]] | None = None,
    is_narrowed: bool = True,
) -> Demand:
    """`caller: Annotated[Caller, requires("agents:read")]` — the only way a route names its scope.

    A scope narrowed to one object (`agents:<id>:read`) serves where the route is about that object: the first parameter
    of its path, or the member of the body named by `body`, or what `about` finds it to belong to, who is asked for such
    callers only. Routes about many objects need the scope itself, and so do those whose path names something else first
    (`is_narrowed=False`).

    Heavier operations name the limit that they count against, or tell it of each request; the others count as reading
    or writing by their method.

    `otherwise` tells who it is that comes without a credential, whose token was verified before; None is nobody. They
    are held to all that others are held to, and refused when that token is over or was revoked.
    """
    return Demand(scopes, body, limit, is_narrowed, otherwise, about)
