"""OAuth 2's grants: which one somebody asks for, and whether it is complete."""

from typing import TypeVar

from fastapi.security import HTTPBasicCredentials

from services.auth.entry.clients.service import ClientService
from services.auth.entry.issuing.pair import TokenPair
from services.auth.entry.logins.service import Credentials, LoginService
from services.auth.entry.sessions.refreshing import Refreshing
from services.auth.entry.tokens.schemas import TokenRequest
from services.auth.errors import GrantIncomplete, WrongClient
from shared.storage import Storage

T = TypeVar("T")


class GrantService:
    def __init__(self, logins: LoginService, refreshing: Refreshing, clients: ClientService, storage: Storage) -> None:
        self.logins = logins
        self._refreshing, self._clients, self._storage = refreshing, clients, storage

    async def grant(self, asked: TokenRequest, basic: HTTPBasicCredentials | None, source: str | None) -> TokenPair:
        """Raises GrantIncomplete, StorageFull for what stores a session, and what the grant itself raises."""
        if asked.grant_type != "client_credentials":  # by which services go on to ask who a caller is
            self._storage.require_room()
        requested = frozenset(asked.scope.split())
        match asked.grant_type:
            case "password":
                password = _needed(asked.password, "password").get_secret_value()
                email = _needed(asked.username, "username")
                return await self.logins.log_in(Credentials(email, password, requested, asked.tenant_id, source))
            case "refresh_token":
                refresh_token = _needed(asked.refresh_token, "refresh_token").get_secret_value()
                return await self._refreshing.refresh(refresh_token, requested, source)
            case "client_credentials":
                client_id = basic.username if basic else _needed(asked.client_id, "client_id")
                if asked.client_id not in (None, client_id):
                    raise WrongClient
                secret = basic.password if basic else _needed(asked.client_secret, "client_secret").get_secret_value()
                return TokenPair(await self._clients.token_for(client_id, secret, requested, source), None)


def _needed(value: T | None, name: str) -> T:
    if value is None:
        raise GrantIncomplete(name)
    return value
