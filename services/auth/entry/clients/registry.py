"""Which services there are, how each proves itself, and what it may do on its own account."""

import hmac
from collections.abc import Mapping

from pydantic import SecretStr

FOLLOW, EXCHANGE, DELEGATE, INTROSPECT = "access:follow", "keys:exchange", "tokens:delegate", "auth:introspect"
_EVERY = frozenset({FOLLOW, EXCHANGE, INTROSPECT})
# Only who does work later acts for users; whatever else a service does, it does with the token of its caller.
_MORE = {"tasks": frozenset({DELEGATE})}


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
        return _EVERY | _MORE.get(client_id, frozenset())
