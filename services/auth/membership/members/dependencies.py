"""The annotated types that the routes about members ask for."""

from typing import Annotated

from services.auth.membership.members.service import MemberService
from shared.door import held

Members = Annotated[MemberService, held("members")]
