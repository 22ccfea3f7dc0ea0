"""Who calls, and from where: the annotated types that the routes of more than one storey ask for."""

from typing import Annotated

from fastapi import Depends, Request

from services.auth.trust.in_person import in_person, watched
from shared.identity import Caller
from shared.limits import source_of

Me = Annotated[Caller, watched("auth:profile")]
Oneself = Annotated[Caller, in_person("auth:profile")]
Admin = Annotated[Caller, in_person("admin")]
Auditor = Annotated[Caller, in_person("audit:read")]
"""Who may read what was done in their tenant."""


async def _source(request: Request) -> str:
    return source_of(request)


Source = Annotated[str, Depends(_source)]
"""The address the request came from, for the audit log and for what is counted by it."""
