"""What a user has to do themself: demands that refuse a service which acts for them, or also an API key.

A credential must not beget one that would outlive it, so what makes, changes or ends credentials and memberships
demands its caller so. Refusals are noted, with the names of both.
"""

from typing import Protocol

from fastapi import Request

from services.auth.errors import ApiKeyRefused, DelegateRefused
from shared.door import API_KEY, Demand, caller_of
from shared.errors import Forbidden
from shared.identity import Caller
from shared.limits import source_of


class Refusals(Protocol):
    """Who keeps what was refused; `request.state.refusals`."""

    async def note(self, caller: Caller, asked: str, source: str) -> None:
        """That the caller asked for this, from that address. Raises Unavailable."""


class InPerson(Demand):
    """Of a user who acts themself, with a token or with an API key."""

    __slots__ = ()

    async def admit(self, request: Request) -> None:
        """As any demand. Raises DelegateRefused besides."""
        await super().admit(request)
        caller = caller_of(request)
        if refused := self.refusal_of(caller):
            refusals: Refusals = request.state.refusals
            await refusals.note(caller, f"{request.method} {request.url.path}", source_of(request))
            raise refused

    def refusal_of(self, caller: Caller) -> Forbidden | None:
        """Why a caller who has the scopes is refused all the same."""
        return DelegateRefused() if caller.actor else None


class LoggedIn(InPerson):
    """Of a user who has logged in: with an access token, and not with one that an API key stands for."""

    __slots__ = ()

    def refusal_of(self, caller: Caller) -> Forbidden | None:
        return super().refusal_of(caller) or (ApiKeyRefused() if caller.key_id else None)

    @property
    def alternatives(self) -> list[dict[str, list[str]]]:
        return [one for one in super().alternatives if API_KEY not in one]


def in_person(*scopes: str) -> InPerson:
    """`caller: Annotated[Caller, in_person("auth:profile")]`, as `shared.door.requires`."""
    return InPerson(scopes, None, None)


def logged_in(*scopes: str) -> LoggedIn:
    """The same, and API keys are refused."""
    return LoggedIn(scopes, None, None)
