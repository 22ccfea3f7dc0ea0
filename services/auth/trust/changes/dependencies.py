"""The annotated types that the route about changes of access asks for."""

from typing import Annotated

from fastapi import Depends

from services.auth.trust.changes.service import AccessChanges
from services.auth.trust.in_person import watched
from services.auth.trust.scopes import FOLLOW
from shared.identity import Caller
from shared.web import from_state

Follower = Annotated[Caller, watched(FOLLOW)]
Changes = Annotated[AccessChanges, Depends(from_state("changes"))]
