"""Who calls: the annotated types that the routes of both rooms ask for."""

from typing import Annotated

from services.auth.membership.deciding import DECIDE
from services.auth.trust.in_person import in_person
from shared.identity import Caller

Reader = Annotated[Caller, in_person("members:read")]
Decider = Annotated[Caller, in_person(DECIDE)]
