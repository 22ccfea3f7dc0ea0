"""What the routes of auth demand: demands that note who is refused, and those of what a user has to do themself.

A credential must not beget one that would outlive it, so what makes, changes or ends credentials and memberships
demands its caller in person: it refuses a service which acts for them, or also an API key.
"""

from typing import Protocol

from fastapi import Request

from services.auth.errors import ApiKeyRefused, ApiKeyUnusable, DelegateRefused
from shared.door import API_KEY, Demand, authenticate, caller_of
from shared.errors import Forbidden, ServiceError
from shared.identity import Caller, TokenForged
from shared.limits import source_of
from shared.web import route_path


class Refusals(Protocol):
    """Who keeps what was refused; `request.state.refusals`."""

    async def note(self, refused: ServiceError, by: Caller | None, source: str | None, **details: str) -> None:
        """That they were refused this, from that address. Raises Unavailable."""


class Watched(Demand):
    """Of any caller, be it a service that acts for a user. Who is refused is noted, with the names of both."""

    __slots__ = ()

    async def admit(self, request: Request) -> None:
        """As any demand, but that a refusal is in the audit log before it is answered."""
        try:
            await super().admit(request)
            if refusal := self.refusal_of(caller_of(request)):
                raise refusal
        except (TokenForged, ApiKeyUnusable) as refused:
            await _note(request, refused, None)
            raise
        except Forbidden as refused:
            await _note(request, refused, await authenticate(request))
            raise

    def refusal_of(self, caller: Caller) -> Forbidden | None:
        """Why a caller who has the scopes is refused all the same; here nobody is."""
        del caller
        return None


class InPerson(Watched):
    """Of a user who acts themself, with a token or with an API key. Raises DelegateRefused besides."""

    __slots__ = ()

    def refusal_of(self, caller: Caller) -> Forbidden | None:
        return DelegateRefused() if caller.actor else None


class LoggedIn(InPerson):
    """Of a user who has logged in: with an access token, and not with one that an API key stands for."""

    __slots__ = ()

    def refusal_of(self, caller: Caller) -> Forbidden | None:
        return super().refusal_of(caller) or (ApiKeyRefused() if caller.key_id else None)

    @property
    def alternatives(self) -> list[dict[str, list[str]]]:
        return [one for one in super().alternatives if API_KEY not in one]


async def recognised(request: Request) -> Caller:
    """Whoever the credential stands for, where none is demanded. Raises Unauthenticated, and notes what is forged."""
    try:
        return await authenticate(request)
    except (TokenForged, ApiKeyUnusable) as refused:
        await _note(request, refused, None)
        raise


async def _note(request: Request, refused: ServiceError, by: Caller | None) -> None:
    refusals: Refusals = request.state.refusals
    asked = f"{request.method} {route_path(request.scope)}"
    await refusals.note(refused, by, source_of(request), asked=asked)


def watched(*scopes: str) -> Watched:
    """`caller: Annotated[Caller, watched("auth:profile")]`, as `shared.door.requires`."""
    return Watched(scopes, None, None)


def in_person(*scopes: str) -> InPerson:
    """The same, and a service that acts for a user is refused."""
    return InPerson(scopes, None, None)


def logged_in(*scopes: str) -> LoggedIn:
    """The same, and API keys are refused too."""
    return LoggedIn(scopes, None, None)
