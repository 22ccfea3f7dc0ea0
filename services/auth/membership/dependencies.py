"""Who calls: the annotated types that the routes of both rooms ask for."""

from typing import Annotated

from services.auth.membership.deciding import DECIDE
from services.auth.trust.in_person import in_person, logged_in
from shared.identity import Caller

Reader = Annotated[Caller, in_person("members:read")]
Decider = Annotated[Caller, in_person(DECIDE)]
Granter = Annotated[Caller, logged_in(DECIDE)]
"""Who gives rights to others, which would outlive an API key."""
