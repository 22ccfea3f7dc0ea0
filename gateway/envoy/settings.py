"""What the runner is told by its environment; everything about routes and plugins stands in the Kong file instead."""

import ssl
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from gateway.envoy.early import DEFAULT_KONG_CONFIG, DEFAULT_STATE_DIR
from services.topology import GATEWAY_PORT
from shared.settings import SettingsWithFiles

Network = IPv4Network | IPv6Network


def collectors_authorities() -> Path:
    """The file of those who may have signed a collector's certificate: `SSL_CERT_FILE`, or the system's own.

    Raises ValueError where there is none.
    """
    found = ssl.get_default_verify_paths().cafile
    if found is None:
        raise ValueError("https needs SSL_CERT_FILE: it, or the system's file of authorities, is missing")
    return Path(found)


class GatewaySettings(SettingsWithFiles):
    """Read from the environment by the upper-case names of the fields, or from the files that `NAME_FILE` names."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    kong_config: Path = Field(default=DEFAULT_KONG_CONFIG, description="the declarative file to run")
    kong_trusted_ips: Annotated[list[Network], NoDecode] = Field(
        default_factory=list,
        description="networks, by comma, whose `X-Forwarded-*` headers are believed; Kong's own setting",
    )

    gateway_host: str = Field(default="127.0.0.1", description="address to listen on")
    gateway_port: int = Field(default=GATEWAY_PORT, ge=1, le=65535, description="the public port")
    gateway_admin_port: int = Field(
        default=10207, ge=1, le=65535, description="on loopback: `/ready` and `/stats/prometheus`, to be read only"
    )
    gateway_state_dir: Path = Field(
        default=DEFAULT_STATE_DIR, description="the compiled configuration and the last known endpoints"
    )
    gateway_token: SecretStr | None = Field(
        default=None, min_length=32, description="by which it proves itself to the services, as `kong.yml` says"
    )
    gateway_concurrency: int = Field(default=1, ge=1, le=16, description="Envoy's worker threads")
    gateway_drain_seconds: float = Field(
        default=10.0, ge=0, le=120, description="at SIGTERM: how long requests in flight may take"
    )

    discovery: Literal["consul", "static"] = Field(
        default="consul", description="`static`: the endpoints are those of STATIC_SERVICES, for good"
    )
    consul_url: str | None = Field(
        default=None, pattern=r"^https?://[^/\s]+/?$", description="`http://…`: the Consul agent to follow"
    )
    consul_token: SecretStr | None = Field(default=None, description="for a Consul that asks who is there: may read")
    static_services: dict[str, str] = Field(
        default_factory=dict, description='JSON, `{"agents": "http://127.0.0.1:10202"}`; several addresses by comma'
    )
    tls_authority_file: Path | None = Field(
        default=None,
        description="PEM: who may have signed the certificates of the services; read again when it is replaced. None: "
        "HTTP without TLS to them, whatever the file says",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+",
        description="where the gateway's spans go; without it there are none. By https its certificate is verified, by "
        "the authorities of the system or of `SSL_CERT_FILE`",
    )
    otel_traces_sample_ratio: float = Field(default=0.01, ge=0, le=1, description="share of new traces that are kept")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="of the runner's log")

    @field_validator("tls_authority_file", "otel_exporter_otlp_endpoint", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _collector_can_be_asked(cls, endpoint: str | None) -> str | None:
        if endpoint:
            told = urlsplit(endpoint)
            if not told.hostname or told.port == 0:  # reading the port raises ValueError where it is none
                raise ValueError("names no host, or no port")
            if told.scheme == "https":
                collectors_authorities()
        return endpoint

    @field_validator("kong_trusted_ips", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consul_is_named(self) -> "GatewaySettings":
        if self.discovery == "consul" and not self.consul_url:
            raise ValueError("CONSUL_URL is needed when DISCOVERY is consul")
        return self
