"""Who calls: the annotated types that the routes of both rooms ask for."""

from typing import Annotated

from services.auth.membership.deciding import DECIDE
from shared.door import requires
from shared.identity import Caller

Reader = Annotated[Caller, requires("members:read")]
Decider = Annotated[Caller, requires(DECIDE)]
