"""Which services there are: the one place that says their names, ports, stores, secrets and scopes.

Everything that names all of them reads this file (`local/`, the portal, auth's catalogue of scopes and clients, the
secrets of compose, the tests) or is held against it by `tests/architecture/test_topology.py` (compose.yaml,
gateway/kong.yml, the settings). It imports nothing, so whoever wants it can have it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

SecretKind = Literal["password", "key", "uuid"]
SECRETS: Final[Mapping[str, SecretKind]] = {
    "postgres_password": "password",
    "redis_password": "password",
    "redis_cache_password": "password",
    "rabbitmq_password": "password",
    "neo4j_password": "password",
    "cursor_secret": "password",
    "api_key_pepper": "password",
    "audit_key": "password",
    "admin_password": "password",
    "key_encryption_key": "key",
    "secret_encryption_key": "key",
    "consul_management": "uuid",
    "gateway_token": "password",
}
"""What an installation makes once and keeps, beside a client secret (a password) for each service that asks auth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scopes:
    """The scopes over what a service owns, by who may be granted them. Each role has those of the role before too."""

    viewer: tuple[str, ...] = ()
    member: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()
    """Of the installation, not of a tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One domain and its stores."""

    name: str
    port: int
    """On a machine where all of them run without containers."""
    stores: tuple[str, ...]
    """What it owns, and tells the health check about."""
    scopes: Scopes
    secrets: tuple[str, ...] = ()
    """Those of `SECRETS` that its processes are given under their own names.

    Every service is given `cursor_secret`, `gateway_token` and the addresses of RabbitMQ and of the Redis that may lose
    what it holds, one with a database the address of that, and chat that of the other Redis; their passwords stand in
    the addresses.
    """
    is_client: bool = True
    """Whether it asks things of auth, and proves itself with a secret of its own."""
    acts_later: bool = False
    """Whether it acts for users who are gone: only who does work later may ask for their tokens."""

    @property
    def has_database(self) -> bool:
        return "postgres" in self.stores


SERVICES: Final[Mapping[str, Service]] = {
    service.name: service
    for service in (
        Service(
            name="auth",
            port=10201,
            stores=("postgres",),
            secrets=("api_key_pepper", "audit_key", "key_encryption_key", "admin_password"),
            scopes=Scopes(
                viewer=("auth:profile", "auth:keys", "members:read"),
                owner=("members:write", "audit:read"),
                admin=("admin", "auth:introspect"),
            ),
            is_client=False,
        ),
        Service(
            name="agents",
            port=10202,
            stores=("neo4j",),
            secrets=("neo4j_password", "secret_encryption_key"),
            scopes=Scopes(viewer=("agents:read",), member=("agents:write",)),
        ),
        Service(
            name="chat",
            port=10203,
            stores=("redis",),
            scopes=Scopes(viewer=("chat:read",), member=("chat:write",), owner=("chat:tenant",)),
        ),
        Service(
            name="vectors",
            port=10204,
            stores=("qdrant", "chromadb", "faiss"),
            scopes=Scopes(viewer=("vectors:read",), member=("vectors:write",)),
        ),
        Service(
            name="tasks",
            port=10205,
            stores=("postgres", "rabbitmq"),
            secrets=("secret_encryption_key",),
            scopes=Scopes(viewer=("tasks:read",), member=("tasks:write",), owner=("tasks:tenant",)),
            acts_later=True,
        ),
    )
}
CLIENTS: Final = tuple(service.name for service in SERVICES.values() if service.is_client)
STORES: Final[Mapping[str, tuple[str, ...]]] = {
    store: tuple(service.name for service in SERVICES.values() if store in service.stores)
    for store in dict.fromkeys(store for service in SERVICES.values() for store in service.stores)
}
"""Every store, and who owns something in it."""
GATEWAY_PORT: Final = 10200
PORTAL_PORT: Final = 10206
