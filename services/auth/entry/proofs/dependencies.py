"""The annotated types that the routes about proofs ask for."""

from typing import Annotated

from services.auth.entry.proofs.moving import MovingService
from services.auth.entry.proofs.service import ProofService
from shared.door import held

Proofs = Annotated[ProofService, held("proofs")]
Moving = Annotated[MovingService, held("moving")]
