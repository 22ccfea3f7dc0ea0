"""What names all services but cannot read the topology says the same as it does."""

import importlib
import re
import tomllib

import pytest
import yaml

from local.components.redis import Redis, RedisCache
from services.topology import CLIENTS, GATEWAY_PORT, PORTAL_PORT, SECRETS, SERVICES
from shared.settings import ServiceSettings
from tests.architecture.apps import APPS, ENVIRONMENT, package_of
from tests.architecture.conftest import COMPOSE_SCRIPTS, REPOSITORY
from tests.architecture.conftest import Service as Container

REDISES = [Redis, RedisCache]
PORTS = {**{name: service.port for name, service in SERVICES.items()}, "portal": PORTAL_PORT}


def test_every_folder_of_services_is_one() -> None:
    folders = {path.parent.name for path in (REPOSITORY / "services").glob("*/main.py")}

    assert folders == set(SERVICES)


def test_every_image_has_an_extra_and_a_lock_of_its_name() -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    locked = re.search(r"^EXTRAS := (.+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)

    assert locked
    assert locked[1].split() == list(APPS)
    assert extras.keys() - set(APPS) == {"envoy"}
    assert all((REPOSITORY / "requirements" / f"{name}.txt").exists() for name in APPS)


@pytest.mark.parametrize("app", APPS)
def test_a_process_listens_at_its_port_unless_told_otherwise(app: str) -> None:
    settings: type[ServiceSettings] = importlib.import_module(f"{package_of(app)}.settings").Settings

    assert settings.model_fields["port"].default == PORTS[app]
    assert f":{GATEWAY_PORT}/" in settings.model_fields["auth_issuer"].default


def test_the_gateway_routes_to_every_app_by_its_name() -> None:
    kong = yaml.safe_load((REPOSITORY / "gateway" / "kong.yml").read_text())
    routes = {route["name"]: route["paths"] for service in kong["services"] for route in service["routes"]}

    assert {service["name"]: service["host"] for service in kong["services"]} == {
        name: f"{name}.service.consul" for name in APPS
    }
    assert routes["service-docs"] == [f"~/api/v1/({'|'.join(SERVICES)})/docs$"]


def mounted(container: Container) -> set[str]:
    return {secret["source"] for secret in container.get("secrets", [])}


OF_A_SERVICE = {"tasks-worker": "tasks", "faiss": "vectors"}
"""What is no service and has the identity of one."""


@pytest.mark.parametrize("name", [*SERVICES, *OF_A_SERVICE])
def test_a_container_is_given_its_secrets_and_no_others(services: dict[str, Container], name: str) -> None:
    service = SERVICES[OF_A_SERVICE.get(name, name)]
    given = {"cursor_secret", "redis_cache_url", "rabbitmq_url", f"consul_token_{name}", *service.secrets}
    given |= set() if name in OF_A_SERVICE else {"gateway_token"}
    given |= {"redis_url"} if "redis" in service.stores else set()
    given |= {f"{service.name}_database_url"} if service.has_database else set()
    given |= {f"client_secret_{service.name}"} if service.is_client else {"service_client_secrets"}
    given |= {"tls_authority", f"tls_{name}"}

    assert mounted(services[name]) == given
    variables = {name for name in services[name]["environment"] if name.endswith("_FILE")}
    assert {f"{secret.upper()}_FILE" for secret in service.secrets} <= variables


def test_what_is_no_service_is_given_no_secret_of_one(services: dict[str, Container]) -> None:
    own = {secret for service in SERVICES.values() for secret in service.secrets} | {"cursor_secret", "gateway_token"}
    given = {name: mounted(services[name]) & own for name in services.keys() - {*SERVICES, *OF_A_SERVICE}}

    assert {name: secrets for name, secrets in given.items() if secrets} == {"kong": {"gateway_token"}}
    assert mounted(services["portal"]) == {"consul_token_portal", "tls_authority", "tls_portal"}
    assert mounted(services["kong"]) == {"gateway_token", "tls_authority"}


def test_postgres_has_a_role_and_a_database_for_each_service_that_keeps_one() -> None:
    script = (COMPOSE_SCRIPTS / "postgres.sql").read_text()
    owners = [name for name, service in SERVICES.items() if service.has_database]

    assert re.findall(r"^CREATE ROLE (\w+) LOGIN", script, re.MULTILINE) == owners
    assert re.findall(r"^CREATE DATABASE (\w+) OWNER \1;", script, re.MULTILINE) == owners


def test_every_secret_of_the_topology_belongs_to_somebody() -> None:
    of_stores = {f"{store}_password" for store in ("postgres", "redis", "redis_cache", "rabbitmq", "neo4j")}
    of_stores |= {"consul_management"}
    of_services = {secret for service in SERVICES.values() for secret in service.secrets}

    assert of_stores | of_services | {"cursor_secret", "gateway_token"} == SECRETS.keys()
    assert {name.upper() for name in SECRETS.keys() - of_stores} <= ENVIRONMENT.keys()
    assert set(CLIENTS) == SERVICES.keys() - {"auth"}


@pytest.mark.parametrize("component", REDISES, ids=[component.name for component in REDISES])
def test_a_redis_keeps_in_compose_what_it_keeps_here(component: type[Redis]) -> None:
    said = (COMPOSE_SCRIPTS / f"{component.name}.conf").read_text().splitlines()

    assert {f"{name} {value}" for name, value in component.keeping.items()} <= set(said)
