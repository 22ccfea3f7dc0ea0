"""The annotated types that the routes about API keys ask for."""

from typing import Annotated

from fastapi import Depends

from services.auth.entry.api_keys.exchange import ExchangeService
from services.auth.entry.api_keys.service import ApiKeyService
from services.auth.trust.in_person import in_person, logged_in, watched
from services.auth.trust.scopes import EXCHANGE
from shared.identity import Caller
from shared.web import from_state

KeyOwner = Annotated[Caller, in_person("auth:keys")]
KeyMaker = Annotated[Caller, logged_in("auth:keys")]
Exchanger = Annotated[Caller, watched(EXCHANGE)]
ApiKeys = Annotated[ApiKeyService, Depends(from_state("api_keys"))]
Exchanges = Annotated[ExchangeService, Depends(from_state("exchanges"))]
