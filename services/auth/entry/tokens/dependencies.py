"""The annotated types that the routes about tokens ask for."""

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from services.auth.entry.sessions.service import SessionService
from services.auth.entry.tokens.grants import GrantService
from services.auth.entry.tokens.service import TokenService
from services.auth.errors import WrongClient
from services.auth.trust.in_person import in_person, watched
from services.auth.trust.scopes import DELEGATE, INTROSPECT
from shared.door import held
from shared.identity import Caller

Introspector = Annotated[Caller, in_person(INTROSPECT)]
Delegate = Annotated[Caller, watched(DELEGATE)]
Grants = Annotated[GrantService, held("grants")]
Sessions = Annotated[SessionService, held("sessions")]
Tokens = Annotated[TokenService, held("tokens")]
_parse_basic = HTTPBasic(auto_error=False)


async def _basic(request: Request) -> HTTPBasicCredentials | None:
    """A client's credentials, where it sent any. Raises WrongClient for what cannot be read."""
    try:
        return await _parse_basic(request)
    except HTTPException as error:
        raise WrongClient from error


# Not a security scheme of the document: most grants need no client, and none is refused for coming without.
Basic = Annotated[HTTPBasicCredentials | None, Depends(_basic)]
