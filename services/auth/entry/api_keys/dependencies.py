"""The annotated types that the routes about API keys ask for."""

from typing import Annotated

from services.auth.entry.api_keys.exchange import ExchangeService
from services.auth.entry.api_keys.service import ApiKeyService
from services.auth.trust.in_person import in_person, logged_in, watched
from services.auth.trust.scopes import EXCHANGE
from shared.door import held
from shared.identity import Caller

KeyOwner = Annotated[Caller, in_person("auth:keys")]
KeyMaker = Annotated[Caller, logged_in("auth:keys")]
Exchanger = Annotated[Caller, watched(EXCHANGE)]
ApiKeys = Annotated[ApiKeyService, held("api_keys")]
Exchanges = Annotated[ExchangeService, held("exchanges")]
