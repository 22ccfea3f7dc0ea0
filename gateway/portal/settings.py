"""What the portal needs to know beyond what every service does; it needs no secret and no store."""

import secrets

from pydantic import Field, SecretStr

from services.topology import PORTAL_PORT
from shared.settings import ServiceSettings


def _unused(scheme: str) -> SecretStr:
    """An address that nothing connects to; with a password of its own, because one without is refused."""
    return SecretStr(f"{scheme}://unused:{secrets.token_urlsafe(24)}@127.0.0.1/")


class Settings(ServiceSettings):
    """The settings of stores are given values that nothing connects to, so that the portal starts without them."""

    port: int = Field(default=PORTAL_PORT, ge=1, le=65535, description="port to listen on")

    redis_url: SecretStr = Field(default_factory=lambda: _unused("redis"), description="unused: no state is kept")
    rabbitmq_url: SecretStr = Field(default_factory=lambda: _unused("amqp"), description="unused: no events")
    cursor_secret: SecretStr = Field(
        default_factory=lambda: SecretStr(secrets.token_urlsafe(48)), min_length=32, description="unused: no lists"
    )

    gateway_status_url: str | None = Field(
        default=None,
        description="what answers 2xx while the gateway serves: Envoy's `http://…/ready`, Kong's `http://…/status/ready`",
    )
