"""A service as a client of auth: a token of its own, renewed in time."""

import base64
import time
from typing import Any

from shared.calls import ServiceClient
from shared.errors import NotFound, ServiceError, Unavailable
from shared.identity.together import Together

CALL_SECONDS = 3.0
_RENEW_SECONDS = 60  # before a token of our own ends


class ServiceIdentity:
    """This service as a client of auth (RFC 6749, section 4.4): proves itself with its secret, renews in time."""

    def __init__(self, client: ServiceClient, name: str, secret: str) -> None:
        self._client, self._name = client, name
        self._basic = "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
        self._token = ""
        self._renew_at = 0.0
        self._renewing = Together(self._renew, seconds=CALL_SECONDS, name="token of our own")

    async def token(self) -> str:
        """An access token of the service itself. Raises Unavailable, also when auth does not accept our secret."""
        if time.monotonic() >= self._renew_at:
            await self._renewing.attempt()
        return self._token

    async def _renew(self) -> None:
        try:
            answer = await self._client.call(
                "auth",
                "POST",
                "/api/v1/auth/token",
                form={"grant_type": "client_credentials"},
                headers={"authorization": self._basic},
                timeout_seconds=CALL_SECONDS,
                idempotent=True,
            )
        except ServiceError as error:
            if error.status != 401:
                raise
            raise Unavailable("auth", detail=f"auth does not accept the secret of {self._name}.") from error
        body = answer.json()
        self._token = str(body["access_token"])
        self._renew_at = time.monotonic() + max(1.0, float(body["expires_in"]) - _RENEW_SECONDS)

    async def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """The JSON of auth's internal `path`, asked for as this service. Raises as ServiceClient.call, Unavailable."""
        try:
            answer = await self._client.call(
                "auth", method, path, token=await self.token(), timeout_seconds=CALL_SECONDS, **kwargs
            )
        except NotFound as error:  # an auth of another version: not the caller's fault
            raise Unavailable("auth") from error
        return answer.json()
