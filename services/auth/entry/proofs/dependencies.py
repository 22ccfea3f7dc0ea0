"""The annotated types that the routes about proofs ask for."""

from typing import Annotated

from fastapi import Depends

from services.auth.entry.proofs.moving import MovingService
from services.auth.entry.proofs.service import ProofService
from shared.web import from_state

Proofs = Annotated[ProofService, Depends(from_state("proofs"))]
Moving = Annotated[MovingService, Depends(from_state("moving"))]
