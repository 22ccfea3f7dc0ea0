"""The suite's own processes: what each is started with, and no secret that it does not need."""

import json
from typing import ClassVar, Final

from local import probes
from local.addresses import url
from local.components.base import Component, Launch
from local.components.consul import Consul
from local.components.llm import MODEL
from local.errors import NotReady
from local.layout import REPOSITORY, python
from local.ports import LOOPBACK
from local.secrets import ADMIN_EMAIL, CLIENTS, SERVICES
from local.site import Site

PASSED: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_TRACES_SAMPLE_RATIO",
    "LOG_LEVEL",
    "RATE_LIMIT_READ",
    "RATE_LIMIT_WRITE",
    "RATE_LIMIT_MODEL",
    "RATE_LIMIT_BULK",
    "RATE_LIMIT_ANONYMOUS",
    "RATE_LIMIT_KEY_PERCENT",
)


def discovery(site: Site) -> dict[str, str]:
    """How processes find each other: through Consul, or at fixed addresses where there is none."""
    fixed = {name: f"http://{LOOPBACK}:{site.ports[name]}" for name in SERVICES}
    consul = Consul()
    found = {"STATIC_SERVICES": json.dumps(fixed)}
    if consul.external_url(site) is None and consul.absence(site):
        return found | {"DISCOVERY": "static"}
    return found | {"DISCOVERY": "consul", "CONSUL_URL": url(site, "consul")}


def service_environment(site: Site, service: str, port: str) -> dict[str, str]:
    """What every service gets; `service` is whose client secret it carries, where that one has any."""
    return {
        **site.process_environment(),
        **discovery(site),
        **site.passed(*PASSED),
        "MALLOC_ARENA_MAX": "2",  # one thread does nearly all the work; more arenas only cost memory
        "ENVIRONMENT": "local",
        "HOST": LOOPBACK,
        "PORT": str(site.ports[port]),
        "ADVERTISE_HOST": LOOPBACK,
        "REDIS_URL": url(site, "redis"),
        "RABBITMQ_URL": url(site, "rabbitmq"),
        "CURSOR_SECRET": site.secrets.cursor_secret,
        "AUTH_ISSUER": f"http://localhost:{site.ports['gateway']}/api/v1/auth",
        **({"CLIENT_SECRET": site.secrets.client_secrets[service]} if service in CLIENTS else {}),
    }


def health_check(site: Site) -> str:
    """The address that tells how the whole suite is."""
    return f"http://{LOOPBACK}:{site.ports['gateway']}/api/v1/health/check"


class Service(Component):
    """A FastAPI process with a readiness route."""

    module: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("redis", "rabbitmq", "consul")
    stop_seconds = 30

    def own_settings(self, site: Site) -> dict[str, str]:  # noqa: ARG002 - an override looks at the site
        """What this service gets beyond what all get."""
        return {}

    def launch(self, site: Site) -> Launch:
        environment = service_environment(site, self.name, self.ports[0]) | self.own_settings(site)
        return Launch((python(), "-m", self.module), environment)

    def probe(self, site: Site) -> None:
        probes.get(f"http://{LOOPBACK}:{site.ports[self.ports[0]]}/health/ready")


class Auth(Service):
    """Accounts, tokens and keys."""

    name = "auth"
    module = "services.auth"
    ports = ("auth",)
    needs = ("postgres", *Service.needs)

    def own_settings(self, site: Site) -> dict[str, str]:
        secrets = site.secrets
        return {
            "DATABASE_URL": url(site, "postgres"),
            "API_KEY_PEPPER": secrets.api_key_pepper,
            "KEY_ENCRYPTION_KEY": secrets.key_encryption_key,
            "AUDIT_KEY": secrets.audit_key,
            "ADMIN_EMAIL": ADMIN_EMAIL,
            "ADMIN_PASSWORD": secrets.admin_password,
            "SERVICE_CLIENT_SECRETS": json.dumps(secrets.client_secrets),
            "MAIL_URL": (site.layout.home / "mail").as_uri(),
            "MAIL_FROM": ADMIN_EMAIL,
            "PUBLIC_URL": f"http://localhost:{site.ports['gateway']}",
            **site.passed("MAIL_URL", "MAIL_FROM", "PUBLIC_URL"),
        }


class Agents(Service):
    """Agents and their graph."""

    name = "agents"
    module = "services.agents"
    ports = ("agents",)
    needs = ("neo4j", *Service.needs)

    def own_settings(self, site: Site) -> dict[str, str]:
        external = site.setting("NEO4J_URL")
        password = (site.setting("NEO4J_PASSWORD") or "") if external else site.secrets.neo4j_password
        user = (site.setting("NEO4J_USER") if external else None) or "neo4j"
        return {"NEO4J_URL": url(site, "neo4j"), "NEO4J_USER": user, "NEO4J_PASSWORD": password}


class Chat(Service):
    """Conversations with a language model."""

    name = "chat"
    module = "services.chat"
    ports = ("chat",)

    def own_settings(self, site: Site) -> dict[str, str]:
        return {"LLM_URL": url(site, "llm"), "LLM_MODEL": MODEL, **site.passed("LLM_MODEL", "LLM_API_KEY")}


class Vectors(Service):
    """Collections and search."""

    name = "vectors"
    module = "services.vectors"
    ports = ("vectors",)
    needs = ("chromadb", *Service.needs)

    def own_settings(self, site: Site) -> dict[str, str]:
        given = site.passed(
            "QDRANT_URL", "QDRANT_API_KEY", "FAISS_URL", "EMBEDDINGS_URL", "EMBEDDINGS_MODEL", "EMBEDDINGS_API_KEY"
        )
        return {"CHROMADB_URL": url(site, "chromadb"), "DATA_DIR": str(site.layout.home / "vectors"), **given}

    def prepare(self, site: Site) -> None:
        (site.layout.home / "vectors").mkdir(mode=0o700, exist_ok=True)


class Tasks(Service):
    """Background work: the API."""

    name = "tasks"
    module = "services.tasks"
    ports = ("tasks",)
    needs = ("postgres", *Service.needs)

    def own_settings(self, site: Site) -> dict[str, str]:
        return {"DATABASE_URL": url(site, "postgres")}


class TasksWorker(Service):
    """Background work: the process that does it. It has the identity of `tasks`."""

    name = "tasks-worker"
    module = "services.tasks.worker"
    ports = ("tasks_worker",)
    needs = ("tasks",)

    def launch(self, site: Site) -> Launch:
        environment = service_environment(site, "tasks", self.ports[0]) | {"DATABASE_URL": url(site, "postgres")}
        return Launch((python(), "-m", self.module), environment)


class Portal(Service):
    """The aggregated health check and the API documents."""

    name = "portal"
    module = "gateway.portal"
    ports = ("portal",)

    def own_settings(self, site: Site) -> dict[str, str]:
        return {"GATEWAY_STATUS_URL": f"http://{LOOPBACK}:{site.ports['gateway_admin']}/ready"}


class Gateway(Component):
    """The one public address: Envoy, configured from the same file as Kong."""

    name = "gateway"
    ports = ("gateway", "gateway_admin")
    needs = ("consul", "portal")
    setting = "KONG_ADMIN_URL"
    stop_seconds = 30

    def prepare(self, site: Site) -> None:
        (site.layout.home / "gateway").mkdir(mode=0o700, exist_ok=True)

    def launch(self, site: Site) -> Launch:
        environment = {
            **site.process_environment(),
            **discovery(site),
            **site.passed(*PASSED),
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
