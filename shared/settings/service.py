"""Settings that every service has; a service subclasses `ServiceSettings` and adds its own stores.

Every value comes from the environment, by the names operators already use (`DATABASE_URL`, `REDIS_URL`, …). A secret
may come from a file instead: `NAME_FILE=/run/secrets/name` (a container's way). Outside local mode a secret that is
easy to guess stops the start.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from limits import parse
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from shared.settings.file_secrets import SettingsWithFiles
from shared.settings.weak_secrets import setting_weakness

_MAX_REQUESTS, _MAX_WINDOW_SECONDS = 10**9, 86_400


def _rate_limit(text: str) -> str:
    limit = parse(text)  # raises ValueError; of several it would take the first
    if any(separator in text for separator in ",;|"):
        raise ValueError("only one limit can be given")
    if not 1 <= limit.amount <= _MAX_REQUESTS or limit.get_expiry() > _MAX_WINDOW_SECONDS:
        raise ValueError("a limit is 1 to 1,000,000,000 requests in at most a day; to have none, set it high")
    return text


RateLimit = Annotated[str, AfterValidator(_rate_limit)]


def _folders(text: str) -> str:
    if any(not one.startswith("/") for one in _listed(text)):
        raise ValueError("folders are absolute paths, separated by commas")
    return text


def _listed(text: str) -> list[str]:
    return [one for part in text.split(",") if (one := part.strip())]


_TLS_FILES: Final = ("tls_certificate_file", "tls_key_file", "tls_authority_file")


def _https_only(urls: str) -> bool:
    """Whether every one of the addresses, by comma, is `https://…`."""
    return all(url.strip().startswith("https://") for url in urls.split(","))


class ServiceSettings(SettingsWithFiles):
    """What the machinery of `shared/` needs to know, whatever the service."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, validate_default=True, hide_input_in_errors=True)

    live: ClassVar[tuple[str, ...]] = (
        "log_level",
        "rate_limit_read",
        "rate_limit_write",
        "rate_limit_model",
        "rate_limit_bulk",
        "rate_limit_anonymous",
        "rate_limit_key_percent",
    )
    """Those that Consul may hold instead of the environment: each can change between two requests."""

    # The first of all fields: what follows is judged by it.
    environment: Literal["local", "production"] = Field(
        default="production", description="`local` takes any secret; elsewhere a weak one stops the start"
    )
    version: str = Field(default="0.2.0", description="shown by the health check and the OpenAPI documents")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="of the JSON log")

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=1, le=65535, description="port to listen on")
    advertise_host: str = Field(default="127.0.0.1", description="address by which other services reach this instance")

    redis_url: SecretStr = Field(
        description="`redis://…`: rate limits, claims and answers of `Idempotency-Key`; nothing that may not be lost"
    )
    rabbitmq_url: SecretStr = Field(description="`amqp://…`: events and task dispatch")
    consul_url: str | None = Field(default=None, description="`http://…`: the Consul agent to register with")
    consul_token: SecretStr | None = Field(
        default=None, description="for a Consul that asks who is there: may register this service's name and read"
    )
    discovery: Literal["consul", "static"] = Field(
        default="consul", description="`static`: find services at the addresses of `static_services` only"
    )
    static_services: dict[str, str] = Field(
        default_factory=dict, description='JSON, `{"agents": "http://127.0.0.1:10202"}`: used when Consul is not'
    )

    # TLS between our own processes: all three, or none
    tls_certificate_file: Path | None = Field(
        default=None,
        description="PEM: what this process shows its callers; read again when it changes. None: HTTP without TLS, for "
        "a network that is trusted otherwise",
    )
    tls_key_file: Path | None = Field(default=None, description="PEM: its key; it may stand in the same file")
    tls_authority_file: Path | None = Field(
        default=None,
        description="PEM: who may have signed the certificates of our own processes, each for its service's name; "
        "their addresses are `https://…` then",
    )

    auth_issuer: str = Field(default="http://localhost:10200/api/v1/auth", description="`iss` that tokens must carry")
    auth_audience: str = Field(default="sutazai", description="`aud` that tokens must carry")
    cursor_secret: SecretStr = Field(min_length=32, description="signs list cursors; the same for all replicas")

    gateway_token: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="by which the gateway proves itself: only with it is `X-Real-IP` the source of a request",
    )

    request_timeout_seconds: float = Field(default=30.0, gt=0, le=300, description="for one call to another service")
    request_limit_seconds: float = Field(
        default=59.0, gt=0, le=600, description="for one request, streams excepted; one a tenth older is ended with 504"
    )
    shutdown_seconds: float = Field(default=20.0, gt=0, le=120, description="for requests in flight at SIGTERM")

    storage_folders: Annotated[str, AfterValidator(_folders)] = Field(
        default="",
        description="folders, by comma, on whose disks the stores write: watched, so that writes are refused with 507 "
        "before a store breaks; empty watches none",
    )
    storage_floor_mib: int = Field(
        default=256, ge=1, le=2**20, description="free MiB there below which writes are refused, till a quarter more is"
    )

    # Requests of one user over all services; `6000/minute`, `100 per 10 seconds`
    rate_limit_read: RateLimit = Field(default="6000/minute", description="GET and HEAD of one user")
    rate_limit_write: RateLimit = Field(default="3000/minute", description="other methods, of one user")
    rate_limit_model: RateLimit = Field(default="600/minute", description="what asks a model, of one user")
    rate_limit_bulk: RateLimit = Field(
        default="600/minute", description="what stores or looks through a lot, of one user"
    )
    rate_limit_anonymous: RateLimit = Field(
        default="600/minute", description="what needs no caller, of one address (IPv6: of one /64 network)"
    )
    rate_limit_key_percent: int = Field(
        default=50, ge=1, le=100, description="share of its owner's limits that one API key may use"
    )

    otel_exporter_otlp_endpoint: str | None = Field(
        default=None, description="where traces go; without it tracing costs nothing and only trace ids are made"
    )
    otel_traces_sample_ratio: float = Field(default=0.01, ge=0, le=1, description="share of new traces that are kept")

    @property
    def redis_cache(self) -> tuple[str, str]:
        """The Redis of what may be lost: the setting that says where, and what it says."""
        return "REDIS_URL", self.redis_url.get_secret_value()

    @property
    def watched_folders(self) -> list[str]:
        """Those of `storage_folders`."""
        return _listed(self.storage_folders)

    @property
    def uses_tls(self) -> bool:
        """Whether this process serves TLS, and asks it of whom it calls."""
        return self.tls_authority_file is not None

    @field_validator(*_TLS_FILES, mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return value or None

    @field_validator(_TLS_FILES[-1])
    @classmethod
    def _tls_is_whole(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        """Half of it would send in the clear what was meant to be hidden."""
        given = {name: value if name == info.field_name else info.data.get(name) for name in _TLS_FILES}
        if any(given.values()) and (missing := [name.upper() for name, file in given.items() if not file]):
            raise ValueError(f"TLS is half set: {' and '.join(missing)} not given")
        if value and not all(_https_only(urls) for urls in info.data.get("static_services", {}).values()):
            raise ValueError("with it every address in STATIC_SERVICES is https://…")
        return value

    @field_validator("*")
    @classmethod
    def _not_easy_to_guess(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("environment") != "local" and (reason := setting_weakness(value)):
            raise PydanticCustomError("weak_secret", "{reason}", {"reason": reason})
        return value


class ClientSettings(ServiceSettings):
    """For a service that asks things of auth: all but auth itself."""

    client_id: str = Field(
        default="", pattern=r"^[a-z-]{0,32}$", description="this service's name at auth; its own name when empty"
    )
    client_secret: SecretStr = Field(
        min_length=32,
        description="by which this service proves itself to auth; auth has it in `service_client_secrets`",
    )
