"""What auth needs to know beyond what every service does."""

from pydantic import EmailStr, Field, SecretStr, ValidationInfo, field_validator

from shared.settings import ServiceSettings

# OWASP's minimum for Argon2id with one lane (Password Storage Cheat Sheet)
_LEAST_MEMORY_KIB, _LEAST_ITERATIONS = 19 * 1024, 2


class Settings(ServiceSettings):
    """Secrets have no default: a service without them does not start."""

    port: int = Field(default=10201, ge=1, le=65535, description="port to listen on")

    # PostgreSQL
    database_url: SecretStr = Field(description="`postgresql+asyncpg://user:password@host:port/`, the server")
    database_name: str = Field(default="auth", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="auth's own database")

    # Secrets of identity
    key_encryption_key: SecretStr = Field(
        min_length=43,
        description="32 bytes in URL-safe base64: seals the private signing keys in the database, and "
        "makes refresh tokens from the ones before",
    )
    api_key_pepper: SecretStr = Field(
        min_length=32, description="keys the hash of API keys; lives outside the database"
    )
    audit_key: SecretStr = Field(
        min_length=32, description="keys the chain of the audit log; lives outside the database, and never changes"
    )
    service_client_secrets: dict[str, SecretStr] = Field(
        default_factory=dict, description="JSON, service name → its client secret: by which each proves itself"
    )
    admin_email: str = Field(description="of an administrator, who is made at a start that finds nobody with it")
    admin_password: SecretStr = Field(min_length=12, max_length=128, description="theirs when they are made")

    # Lifetimes
    access_token_seconds: int = Field(default=900, ge=60, le=900, description="life of an access token")
    internal_token_seconds: int = Field(default=300, ge=120, le=300, description="life of exchanged and delegated ones")
    refresh_token_seconds: int = Field(default=30 * 86400, ge=3600, le=90 * 86400, description="life of a session")

    # Mail, for invitations, proofs of an address, forgotten passwords and notices
    mail_url: SecretStr | None = Field(
        default=None,
        description="`smtps://user:password@host:465`, `smtp://…:587` (STARTTLS), `smtp+plain://host:25` (no TLS, no "
        "password) or `file:///folder`; without it nobody can be invited, no address is proved, and a forgotten "
        "password has no way back",
    )
    mail_from: EmailStr | None = Field(default=None, max_length=254, description="the sender; needed with `mail_url`")
    public_url: str = Field(
        default="http://localhost:10200",
        pattern=r"^https?://[^\s/?#]+$",
        max_length=255,
        description="where people reach the gateway; letters lead there",
    )
    login_before_proof: bool = Field(
        default=False,
        description="whether an account logs in before its address is proved, which tells whoever registers with "
        "somebody else's whether it was free; without mail all do",
    )

    # Signing keys
    key_publish_seconds: float = Field(
        default=60, ge=0, le=86400, description="how long a key is public before it may sign, so that all know it"
    )

    # Password hashing
    password_memory_kib: int = Field(
        default=_LEAST_MEMORY_KIB, ge=64, le=2**20, description="Argon2id memory; less than that in local mode only"
    )
    password_iterations: int = Field(
        default=_LEAST_ITERATIONS, ge=1, le=10, description="Argon2id passes over it; less than that in local mode only"
    )
    password_workers: int = Field(default=2, ge=1, le=16, description="hashes computed at once")
    password_waiting: int = Field(
        default=512,
        ge=1,
        le=10_000,
        description="hashes that may wait, an eighth of them from one address; more answer 503. What comes while "
        "another replica is restarted waits here",
    )

    @property
    def has_mail(self) -> bool:
        """Whether letters can be sent at all."""
        return bool(self.mail_url and self.mail_url.get_secret_value())

    @field_validator("service_client_secrets")
    @classmethod
    def _long_enough(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if any(len(secret.get_secret_value()) < 32 for secret in value.values()):
            raise ValueError("a service's client secret needs at least 32 characters")
        return value

    @field_validator("password_memory_kib", "password_iterations")
    @classmethod
    def _costly_enough(cls, value: int, info: ValidationInfo) -> int:
        least = _LEAST_MEMORY_KIB if info.field_name == "password_memory_kib" else _LEAST_ITERATIONS
        if value < least and info.data.get("environment") != "local":
            raise ValueError(f"outside local mode it is at least {least}")
        return value
