"""The annotated types that the route about changes of access asks for."""

from typing import Annotated

from services.auth.trust.changes.service import AccessChanges
from services.auth.trust.in_person import watched
from services.auth.trust.scopes import FOLLOW
from shared.door import held
from shared.identity import Caller

Follower = Annotated[Caller, watched(FOLLOW)]
Changes = Annotated[AccessChanges, held("changes")]
