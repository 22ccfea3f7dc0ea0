"""How each service proves itself."""

import hmac
from collections.abc import Mapping

from pydantic import SecretStr

from services.auth.trust.scopes import scopes_of_service


class ServiceClients:
    def __init__(self, secrets: Mapping[str, SecretStr]) -> None:
        self._secrets = {name: secret.get_secret_value().encode() for name, secret in secrets.items()}

    def knows(self, client_id: str) -> bool:
        return client_id in self._secrets

    def authenticate(self, client_id: str, client_secret: str) -> frozenset[str] | None:
        """The scopes of a service that proved itself; None when it did not. Takes as long either way."""
        expected = self._secrets.get(client_id, b"")
        if not hmac.compare_digest(expected, client_secret.encode()) or not expected:
            return None
        return scopes_of_service(client_id)
