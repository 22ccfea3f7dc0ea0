"""The annotated types that the routes about signing keys ask for."""

from typing import Annotated

from fastapi import Depends

from services.auth.trust.signing.ring import KeyRing
from shared.web import from_state

Keys = Annotated[KeyRing, Depends(from_state("keys"))]
