"""The address of every component, with credentials, as clients use it: the caller's own server where there is one."""

from typing import Final

from local import certificates
from local.errors import UnknownComponent
from local.ports import LOOPBACK, OFFSETS
from local.site import Site

SUPERUSER: Final = "sutazai"
"""Of PostgreSQL."""
VIRTUAL_HOST: Final = "sutazai"
"""Of RabbitMQ."""
SETTINGS: Final = {
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "redis-cache": "REDIS_CACHE_URL",
    "rabbitmq": "RABBITMQ_URL",
    "consul": "CONSUL_URL",
    "neo4j": "NEO4J_URL",
    "chromadb": "CHROMADB_URL",
    "llm": "LLM_URL",
}


def url(site: Site, name: str) -> str:
    """`postgres` ends in `/`, where a database name goes; what has no address of its own raises UnknownComponent."""
    return external_url(site, name) or _local(site, name)


def external_url(site: Site, name: str) -> str | None:
    """The caller's own server, when the environment names one."""
    if name == "redis-cache":  # who has one server has it for both
        return site.setting(SETTINGS[name]) or external_url(site, "redis")
    return site.setting(SETTINGS[name]) if name in SETTINGS else None


def _local(site: Site, name: str) -> str:
    port = name.replace("-", "_")
    if port not in OFFSETS:
        raise UnknownComponent(f"{name!r} has no address; these have: {', '.join(OFFSETS)}")
    place = f"{LOOPBACK}:{site.ports[port]}"
    secrets = site.secrets
    special = {
        "postgres": f"postgresql+asyncpg://{SUPERUSER}:{secrets.postgres_password}@{place}/",
        "redis": f"redis://:{secrets.redis_password}@{place}/0",
        "redis-cache": f"redis://:{secrets.redis_cache_password}@{place}/0",
        "rabbitmq": f"amqp://{secrets.rabbitmq_user}:{secrets.rabbitmq_password}@{place}/{VIRTUAL_HOST}",
        "rabbitmq_management": f"http://{secrets.rabbitmq_user}:{secrets.rabbitmq_password}@{place}",
        "neo4j": f"bolt://{place}",
        "llm": f"http://{place}/v1",
    }
    return special.get(name, f"{scheme(site, name)}://{place}")


def scheme(site: Site, name: str) -> str:
    """Our own processes talk by TLS unless it is switched off; the public port and the stores do not."""
    return "https" if name.replace("_", "-") in certificates.PROCESSES and site.uses_tls else "http"
