"""The annotated types that the routes about invitations ask for."""

from typing import Annotated

from fastapi import Depends

from services.auth.membership.invitations.acceptance import AcceptanceService
from services.auth.membership.invitations.service import InvitationService
from shared.web import from_state

Invitations = Annotated[InvitationService, Depends(from_state("invitations"))]
Acceptances = Annotated[AcceptanceService, Depends(from_state("acceptances"))]
