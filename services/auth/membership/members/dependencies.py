"""The annotated types that the routes about members ask for."""

from typing import Annotated

from fastapi import Depends

from services.auth.membership.members.service import MemberService
from shared.web import from_state

Members = Annotated[MemberService, Depends(from_state("members"))]
