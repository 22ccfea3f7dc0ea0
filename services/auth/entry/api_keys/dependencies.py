"""The annotated types that the routes about API keys ask for."""

from typing import Annotated

from fastapi import Depends

from services.auth.entry.api_keys.exchange import LocalApiKeys
from services.auth.entry.api_keys.service import ApiKeyService
from services.auth.trust.in_person import in_person, logged_in
from services.auth.trust.scopes import EXCHANGE
from shared.door import requires
from shared.identity import Caller
from shared.web import from_state

KeyOwner = Annotated[Caller, in_person("auth:keys")]
KeyMaker = Annotated[Caller, logged_in("auth:keys")]
Exchanger = Annotated[Caller, requires(EXCHANGE)]
ApiKeys = Annotated[ApiKeyService, Depends(from_state("api_keys"))]
Exchange = Annotated[LocalApiKeys, Depends(from_state("local_api_keys"))]
