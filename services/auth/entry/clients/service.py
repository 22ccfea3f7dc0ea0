"""A token for who proves itself with an id and a secret: a service, or the program that holds an API key."""

from services.auth.entry.api_keys.exchange import LocalApiKeys
from services.auth.entry.clients.registry import ServiceClients
from services.auth.entry.issuing.issuer import AccessToken, TokenIssuer
from services.auth.errors import WrongClient
from services.auth.trust.scopes import granted
from services.auth.trust.work import Works
from shared.errors import Unauthenticated
from shared.identity import PREFIX, public_id_of


class ClientService:
    def __init__(self, works: Works, issuer: TokenIssuer, clients: ServiceClients, api_keys: LocalApiKeys) -> None:
        self._works, self._issuer = works, issuer
        self._clients, self._api_keys = clients, api_keys

    async def token_for(self, client_id: str, client_secret: str, requested: frozenset[str]) -> AccessToken:
        """Raises WrongClient, also for an API key that `client_id` does not name; ScopeNotAllowed."""
        if client_id.startswith(PREFIX):
            if client_id != PREFIX + public_id_of(client_secret):
                raise WrongClient
            try:
                return await self._api_keys.token_for(client_secret, requested)
            except Unauthenticated as error:
                raise WrongClient from error
        allowed = self._clients.authenticate(client_id, client_secret)
        if allowed is None:
            await self._note_refused(client_id)
            raise WrongClient
        return self._issuer.for_service(client_id, granted(requested, allowed))

    async def _note_refused(self, client_id: str) -> None:
        if self._clients.knows(client_id):  # what else was typed may be anything, a secret too
            async with self._works.begin() as work:
                work.note("client.refused", target=client_id)
