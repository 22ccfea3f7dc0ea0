"""The annotated types that the routes about invitations ask for."""

from typing import Annotated

from services.auth.membership.invitations.acceptance import AcceptanceService
from services.auth.membership.invitations.service import InvitationService
from shared.door import held

Invitations = Annotated[InvitationService, held("invitations")]
Acceptances = Annotated[AcceptanceService, held("acceptances")]
