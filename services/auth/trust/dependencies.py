"""Who calls, and from where: the annotated types that the routes of more than one storey ask for."""

from typing import Annotated

from fastapi import Depends, Request

from shared.door import requires
from shared.identity import Caller
from shared.limits import source_of

Me = Annotated[Caller, requires("auth:profile")]
Admin = Annotated[Caller, requires("admin")]


async def _source(request: Request) -> str:
    return source_of(request)


Source = Annotated[str, Depends(_source)]
"""The address the request came from, for the audit log and for what is counted by it."""
