"""The annotated types that the routes about signing keys ask for."""

from typing import Annotated

from services.auth.trust.signing.ring import KeyRing
from shared.door import held

Keys = Annotated[KeyRing, held("keys")]
