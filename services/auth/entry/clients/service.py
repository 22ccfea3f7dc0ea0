"""A token for who proves itself with an id and a secret: a service, or the program that holds an API key."""

from services.auth.entry.api_keys.exchange import ExchangeService
from services.auth.entry.clients.registry import ServiceClients
from services.auth.entry.issuing.issuer import AccessToken, TokenIssuer
from services.auth.errors import WrongClient
from services.auth.trust.audit.actions import Action
from services.auth.trust.scopes import granted
from services.auth.trust.work import Works
from shared.errors import Unauthenticated
from shared.identity import PREFIX, public_id_of


class ClientService:
    def __init__(self, works: Works, issuer: TokenIssuer, clients: ServiceClients, exchanges: ExchangeService) -> None:
        self._works, self._issuer = works, issuer
        self._clients, self._exchanges = clients, exchanges

    async def token_for(
        self, client_id: str, client_secret: str, requested: frozenset[str], source: str | None
    ) -> AccessToken:
        """Raises WrongClient, also for an API key that `client_id` does not name; ScopeNotAllowed."""
        if client_id.startswith(PREFIX):
            if client_id != PREFIX + public_id_of(client_secret):
                raise WrongClient
            try:
                return await self._exchanges.token_for(client_secret, requested, by=None, source=source)
            except Unauthenticated as error:
                raise WrongClient from error
        allowed = self._clients.authenticate(client_id, client_secret)
        if allowed is None:
            await self._note_refused(client_id, source)
            raise WrongClient
        return self._issuer.for_service(client_id, granted(requested, allowed))

    async def _note_refused(self, client_id: str, source: str | None) -> None:
        if self._clients.knows(client_id):  # what else was typed may be anything, a secret too
            await self._works.note(Action.CLIENT_REFUSED, source=source, target=client_id)
