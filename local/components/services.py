"""The suite's own processes: what each is started with, and no secret that it does not need."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from local import probes, settings
from local.addresses import external_url, url
from local.certificates import AUTHORITY, certificate
from local.components.base import Component, Launch
from local.components.consul import Consul
from local.components.llm import MODEL
from local.components.neo4j import credentials
from local.components.traces import recording
from local.errors import NotReady
from local.layout import REPOSITORY, code, python
from local.ports import LOOPBACK, OFFSETS
from local.secrets import ADMIN_EMAIL, consul_token
from local.site import Site
from services.topology import SERVICES, Service

MAIL, VECTORS, FILES = "mail", "vectors", "files"
COMMON_NEEDS: Final = ("redis-cache", "rabbitmq", "consul")


def discovery(site: Site, process: str) -> dict[str, str]:
    """How this process finds others: through Consul, or at fixed addresses where there is none.

    Our Consul knows it by a token of its own; for the caller's, CONSUL_TOKEN is the caller's too.
    """
    fixed = {name: url(site, name) for name in (*SERVICES, "portal")}
    consul = Consul()
    found = {"STATIC_SERVICES": json.dumps(fixed)}
    if consul.external_url(site) is None and consul.absence(site):
        return found | {"DISCOVERY": "static"}
    found |= {"DISCOVERY": "consul", "CONSUL_URL": url(site, "consul")}
    if consul.external_url(site):
        return found
    return found | {"CONSUL_TOKEN": consul_token(site.secrets.consul_management, process)}


def gateway_token(site: Site) -> dict[str, str]:
    """By which the gateway proves itself to the services; with a gateway of the caller's it may be the caller's."""
    if site.setting("GATEWAY_TOKEN_FILE"):
        return {}
    return {"GATEWAY_TOKEN": site.setting("GATEWAY_TOKEN") or site.secrets.gateway_token}


def public_url(site: Site) -> str:
    """The gateway as callers write it."""
    return f"http://localhost:{site.ports['gateway']}"


def health_check(site: Site) -> str:
    """The address that tells how the whole suite is."""
    return f"http://{LOOPBACK}:{site.ports['gateway']}/api/v1/health/check"


def _auth(site: Site) -> dict[str, str]:
    return {
        "ADMIN_EMAIL": ADMIN_EMAIL,
        "SERVICE_CLIENT_SECRETS": json.dumps(site.secrets.client_secrets),
        **({} if site.setting("MAIL_URL_FILE") else {"MAIL_URL": (site.layout.home / MAIL).as_uri()}),
        "MAIL_FROM": ADMIN_EMAIL,
        "LOGIN_BEFORE_PROOF": "true",  # who tries it out finds the letter in a folder, or does not look
        "PUBLIC_URL": public_url(site),
        **site.passed("MAIL_URL", "MAIL_FROM", "LOGIN_BEFORE_PROOF", "PUBLIC_URL"),
    }


def _agents(site: Site) -> dict[str, str]:
    user, password = credentials(site)
    return {"NEO4J_URL": url(site, "neo4j"), "NEO4J_USER": user, "NEO4J_PASSWORD": password}


def _chat(site: Site) -> dict[str, str]:
    ours = {"LLM_API_KEY": site.secrets.llm_api_key} if external_url(site, "llm") is None else {}
    stores = {"REDIS_URL": url(site, "redis"), "REDIS_CACHE_URL": url(site, "redis-cache")}
    return {"LLM_URL": url(site, "llm"), "LLM_MODEL": MODEL, **stores, **ours, **site.passed("LLM_MODEL")}


def _vectors(site: Site) -> dict[str, str]:
    ours = {"CHROMADB_TENANT": site.secrets.chromadb_tenant} if external_url(site, "chromadb") is None else {}
    kept = {"FAISS_URL": url(site, "faiss")} if site.has_node else _faiss(site)
    files = {"FILES_DIR": str(site.layout.home / FILES), **site.passed("FILES_DIR")}
    return {"CHROMADB_URL": url(site, "chromadb"), **ours, **kept, **files}


def _faiss(site: Site) -> dict[str, str]:
    return {"DATA_DIR": str(site.layout.home / VECTORS)}


def _portal(site: Site) -> dict[str, str]:
    return {"GATEWAY_STATUS_URL": f"http://{LOOPBACK}:{site.ports['gateway_admin']}/ready"}


OWN_SETTINGS: Final[Mapping[str, Callable[[Site], dict[str, str]]]] = {
    "auth": _auth,
    "agents": _agents,
    "chat": _chat,
    "vectors": _vectors,
    "faiss": _faiss,
    "portal": _portal,
}
"""What a process is told beyond what follows from the topology."""


def _folders(process: str, site: Site) -> tuple[str, ...]:
    """Where a process writes: the engines' files are the node's where there is one, and handed over to it."""
    if process == "vectors":
        return (FILES,) if site.has_node else (FILES, VECTORS)
    return {"auth": (MAIL,), "faiss": (VECTORS,)}.get(process, ())


class Process(Component):
    """A FastAPI process with a readiness route, and with the identity of one of the five services or of none."""

    stop_seconds = 30
    is_inside = True
    patience_seconds = 15.0  # a store that was restarted under it is back within that

    def __init__(
        self, name: str, module: str, declared: str, *, service: Service | None = None, needs: Iterable[str] = ()
    ) -> None:
        self.name, self.needs, self.ports = name, tuple(needs) or COMMON_NEEDS, (name.replace("-", "_"),)
        self._module, self._declared, self._service = module, declared, service

    def folders(self, site: Site) -> tuple[Path, ...]:
        return tuple(site.layout.home / name for name in _folders(self.name, site))

    def reads(self, site: Site) -> tuple[Path, ...]:  # noqa: ARG002 - of no site in particular
        return code()

    def launch(self, site: Site) -> Launch:
        return Launch((python(), "-m", self._module), self._settings(site))

    def probe(self, site: Site) -> None:
        ready = f"{url(site, self.ports[0])}/health/ready"
        if site.uses_tls:
            probes.get_ours(ready, self.name, site.certificates / AUTHORITY)
        else:
            probes.get(ready)

    def _settings(self, site: Site) -> dict[str, str]:
        own = OWN_SETTINGS.get(self.name)
        return {
            **site.process_environment(),
            **recording(site),
            **settings.given(site.environ, self._declared),
            **discovery(site, self.name),
            "MALLOC_ARENA_MAX": "2",  # one thread does nearly all the work; more arenas only cost memory
            "ENVIRONMENT": "local",
            "STORAGE_FOLDERS": str(site.layout.home),
            **site.passed("STORAGE_FOLDERS"),
            "HOST": LOOPBACK,
            "PORT": str(site.ports[self.ports[0]]),
            "ADVERTISE_HOST": LOOPBACK,
            "REDIS_URL": url(site, "redis-cache"),
            "RABBITMQ_URL": url(site, "rabbitmq"),
            "CURSOR_SECRET": site.secrets.cursor_secret,
            **(gateway_token(site) if self.name in SERVICES else {}),
            "AUTH_ISSUER": site.setting("AUTH_ISSUER") or f"{public_url(site)}/api/v1/auth",
            **(_tls(site, self.name) if site.uses_tls else {}),
            **(_identity(site, self._service) if self._service else {}),
            **(own(site) if own else {}),
        }


class Node(Process):
    """The process that owns the files of vectors, where vectors is to have replicas."""

    def is_wanted(self, site: Site) -> bool:
        return site.has_node


def _identity(site: Site, service: Service) -> dict[str, str]:
    """The secrets of one service and of no other."""
    return {
        **{name.upper(): getattr(site.secrets, name) for name in service.secrets},
        **({"DATABASE_URL": url(site, "postgres")} if service.has_database else {}),
        **({"CLIENT_SECRET": site.secrets.client_secrets[service.name]} if service.is_client else {}),
    }


def _tls(site: Site, process: str) -> dict[str, str]:
    """Its own certificate with its key, and whom to believe."""
    own = str(certificate(site.certificates, process))
    return {"TLS_CERTIFICATE_FILE": own, "TLS_KEY_FILE": own, **_believed(site)}


def _believed(site: Site) -> dict[str, str]:
    return {"TLS_AUTHORITY_FILE": str(site.certificates / AUTHORITY)}


def _needs(service: Service) -> tuple[str, ...]:
    """The stores that are servers here; the others live in the service's own process."""
    return tuple(dict.fromkeys((*(store for store in service.stores if store in OFFSETS), *COMMON_NEEDS)))


PROCESSES: Final = (
    *(
        Process(name, f"services.{name}", f"services.{name}.settings:Settings", service=one, needs=_needs(one))
        for name, one in SERVICES.items()
    ),
    Process(
        "tasks-worker",
        "services.tasks.worker",
        "services.tasks.settings:WorkerSettings",
        service=SERVICES["tasks"],
        needs=["tasks"],
    ),
    Node("faiss", "services.vectors.node", "services.vectors.settings:NodeSettings", service=SERVICES["vectors"]),
    Process("portal", "gateway.portal", "gateway.portal.settings:Settings"),
)


class Gateway(Component):
    """The one public address: Envoy, configured from the same file as Kong."""

    name = "gateway"
    ports = ("gateway", "gateway_admin")
    needs = ("consul", "portal")
    stop_seconds = 30
    is_inside = True

    def external_url(self, site: Site) -> str | None:
        return site.setting("KONG_ADMIN_URL")

    def folders(self, site: Site) -> tuple[Path, ...]:
        return (site.layout.home / "gateway",)

    def reads(self, site: Site) -> tuple[Path, ...]:  # noqa: ARG002 - of no site in particular
        return code()

    def launch(self, site: Site) -> Launch:
        environment = {
            **site.process_environment(),
            **recording(site),
            **settings.given(site.environ, "gateway.envoy.settings:GatewaySettings"),
            **discovery(site, self.name),
            **gateway_token(site),
            **(_believed(site) if site.uses_tls else {}),
            "ENVIRONMENT": "local",
            "KONG_CONFIG": str(REPOSITORY / "gateway" / "kong.yml"),
            "GATEWAY_HOST": site.bind,
            "GATEWAY_PORT": str(site.ports["gateway"]),
            "GATEWAY_ADMIN_PORT": str(site.ports["gateway_admin"]),
            "GATEWAY_STATE_DIR": str(site.layout.home / "gateway"),
        }
        return Launch((python(), "-m", "gateway.envoy"), environment)

    def probe(self, site: Site) -> None:
        """A request through the gateway to the portal; whether the whole is well is asked at the end of `up`."""
        if kong := self.external_url(site):
            probes.get(f"{kong.rstrip('/')}/status")
        elif b'"checks"' not in probes.get(health_check(site), expected=(200, 503)):
            raise NotReady("the gateway does not reach the portal")
