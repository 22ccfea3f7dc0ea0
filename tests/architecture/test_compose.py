"""compose.yaml as a real Compose reads it: hardened, exact, without a secret, and fit for each service's settings."""

import importlib
import json
import re
import subprocess
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from local.consul_access import guard as consul_guard
from services.topology import STORES
from shared.settings import ServiceSettings
from shared.settings.weak_secrets import setting_weakness
from tests.architecture.apps import APPS, package_of
from tests.architecture.conftest import COMPOSE_SCRIPTS, REPOSITORY, ReadCompose, Service, make_secrets
from tests.fixtures.patience import PATIENCE_SECONDS

SETTINGS = {
    **{app: f"{package_of(app)}.settings:Settings" for app in APPS},
    "tasks-worker": "services.tasks.settings:WorkerSettings",
    "faiss": "services.vectors.settings:NodeSettings",
}
COMPONENTS = {*STORES, *SETTINGS, "kong", "consul", "consul-access", "llm", "redis-cache"}
OBSERVABILITY = {"otel-collector", "jaeger", "prometheus", "grafana"}


def version(package: str) -> str:
    lock = (REPOSITORY / "requirements" / "all.txt").read_text()
    found = re.search(rf"^{re.escape(package)}==([\d.]+)", lock, re.MULTILINE)
    assert found, package
    return found[1]


# --- What is there ----------------------------------------------------------------------------------------------------


def test_every_component_has_a_container_of_its_name(
    services: dict[str, Service], all_services: dict[str, Service]
) -> None:
    assert set(services) == COMPONENTS
    assert set(all_services) == COMPONENTS | OBSERVABILITY
    assert {name: service["container_name"] for name, service in all_services.items()} == {
        name: f"sutazai-{name}" for name in all_services
    }


def test_images_have_exact_tags(all_services: dict[str, Service]) -> None:
    loose = {
        service["image"]
        for service in all_services.values()
        if not re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+)?$", service["image"])
    }

    assert not loose


def test_own_images_have_the_version_of_the_project(services: dict[str, Service]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]

    own = {service["image"] for service in services.values() if "build" in service}

    assert {image.split(":")[1] for image in own} == {project}
    documented = re.findall(r"sutazai/\w+:(\S+)", (REPOSITORY / "docs" / "deploy.md").read_text())
    assert set(documented) == {project}


def test_servers_match_their_clients(services: dict[str, Service]) -> None:
    pom = (REPOSITORY / "local" / "neo4j" / "pom.xml").read_text()
    neo4j = re.search(r"<neo4j\.version>([\d.]+)<", pom)

    assert neo4j
    assert services["neo4j"]["image"] == f"neo4j:{neo4j[1]}-community"
    assert services["chromadb"]["image"] == f"chromadb/chroma:{version('chromadb')}"
    minor = ".".join(version("qdrant-client").split(".")[:2])
    assert services["qdrant"]["image"].startswith(f"qdrant/qdrant:v{minor}.")


# --- The network ------------------------------------------------------------------------------------------------------


def test_only_the_gateway_has_a_port_on_the_host(services: dict[str, Service]) -> None:
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}

    assert list(published) == ["kong"]
    assert [(port["published"], port["target"]) for port in published["kong"]] == [("10200", 10200)]


def test_of_what_looks_at_it_grafana_alone_has_one_for_this_host(all_services: dict[str, Service]) -> None:
    published = {name: service["ports"] for name, service in all_services.items() if service.get("ports")}

    assert set(published) == {"kong", "grafana"}
    assert [(port["host_ip"], port["published"]) for port in published["grafana"]] == [("127.0.0.1", "10240")]


def test_all_are_in_one_network_with_two_fixed_addresses(compose: dict[str, Any], services: dict[str, Service]) -> None:
    network = compose["networks"]["sutazai-network"]
    addresses = {
        name: (service["networks"]["sutazai-network"] or {}).get("ipv4_address") for name, service in services.items()
    }

    assert network["name"] == "sutazai-network"
    assert network["ipam"]["config"][0]["subnet"] == "172.20.0.0/16"
    fixed = {name: address for name, address in addresses.items() if address}
    assert fixed == {"kong": "172.20.0.30", "consul": "172.20.0.31"}
    given_out = ip_network(network["ipam"]["config"][0]["ip_range"])
    assert not any(ip_address(address) in given_out for address in fixed.values())


def test_a_proxy_on_the_host_is_believed(compose: dict[str, Any], services: dict[str, Service]) -> None:
    """It comes from the bridge's address, which Docker would otherwise take from the range it gives out."""
    ours = compose["networks"]["sutazai-network"]["ipam"]["config"][0]
    trusted = [ip_network(part) for part in services["kong"]["environment"]["KONG_TRUSTED_IPS"].split(",")]

    assert ours["gateway"] == "172.20.0.1"
    assert [network for network in trusted if network.overlaps(ip_network(ours["subnet"]))] == [
        ip_network(ours["gateway"])
    ]


def test_whose_word_the_gateway_believes_is_a_setting(read_compose: ReadCompose, tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("KONG_TRUSTED_IPS=10.0.0.0/8\n")

    services = read_compose(REPOSITORY / "compose.yaml", env_file=dotenv)["services"]

    assert services["kong"]["environment"]["KONG_TRUSTED_IPS"] == "10.0.0.0/8"


def test_what_an_operator_opens_and_bounds_is_a_setting(read_compose: ReadCompose, tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    wanted = {"OUTBOUND_ALLOW": "10.1.0.0/16", "LLM_FALLBACKS": '["other"]', "TOKENS_PER_DAY_USER": "1000"}
    dotenv.write_text("".join(f"{name}={value}\n" for name, value in wanted.items()))

    services = read_compose(REPOSITORY / "compose.yaml", env_file=dotenv)["services"]

    assert {**services["chat"]["environment"], **services["agents"]["environment"]}.items() >= wanted.items()


def test_the_gateway_asks_consul_and_the_portal_asks_the_gateway(services: dict[str, Service]) -> None:
    kong = services["kong"]["environment"]
    consul = json.loads((COMPOSE_SCRIPTS / "consul.json").read_text())

    assert kong["KONG_DNS_RESOLVER"] == f"{consul['bind_addr']}:{consul['ports']['dns']}" == "172.20.0.31:8600"
    assert kong["KONG_PROXY_LISTEN"].startswith("0.0.0.0:10200")
    assert kong["KONG_ADMIN_LISTEN"].startswith("127.0.0.1:")
    status_port = kong["KONG_STATUS_LISTEN"].rpartition(":")[2]
    assert services["portal"]["environment"]["GATEWAY_STATUS_URL"] == f"http://kong:{status_port}/status/ready"


# --- Hardening --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(COMPONENTS | OBSERVABILITY))
def test_containers_are_hardened(all_services: dict[str, Service], name: str) -> None:
    service = all_services[name]
    limits = service["deploy"]["resources"]["limits"]

    assert service["cap_drop"] == ["ALL"]
    assert not service.get("cap_add")
    assert not service.get("privileged")
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in {"", "0", "root"}
    assert limits.keys() >= {"cpus", "memory", "pids"}
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"]


def test_root_file_systems_are_read_only_or_say_why_not(all_services: dict[str, Service]) -> None:
    written = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]

    writable = {name for name, service in all_services.items() if not service.get("read_only")}

    assert writable == {name for name, service in written.items() if "x-writable-root" in service} == {"neo4j"}


def test_everything_has_a_health_check_or_says_why_not_and_waits_for_healthy(
    all_services: dict[str, Service],
) -> None:
    written = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())["services"]
    unchecked = {name for name, service in all_services.items() if not service.get("healthcheck", {}).get("test")}
    conditions = {
        dependency["condition"]
        for service in all_services.values()
        for dependency in service.get("depends_on", {}).values()
    }

    assert unchecked == {name for name, service in written.items() if "x-unchecked" in service} == {"otel-collector"}
    assert conditions == {"service_healthy"}


def test_every_file_that_is_mounted_is_in_the_project(all_services: dict[str, Service]) -> None:
    volumes = [mount for service in all_services.values() for mount in service.get("volumes", [])]
    mounts = [mount for mount in volumes if mount["type"] == "bind"]

    assert mounts
    for mount in mounts:
        assert Path(mount["source"]).exists(), mount["source"]
        assert mount["read_only"]


# --- Secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_stands_in_the_file(all_services: dict[str, Service]) -> None:
    secret_names = re.compile(r"PASSWORD|SECRET|PEPPER|_KEY|_AUTH|TOKEN")
    for name, service in all_services.items():
        for variable, value in (service.get("environment") or {}).items():
            is_a_count = variable.startswith("TOKENS_PER_DAY_")
            assert variable.endswith("_FILE") or is_a_count or not secret_names.search(variable), f"{name}: {variable}"
            assert not re.search(r"://[^/]*@", value or ""), f"{name}: {variable}"
        assert not re.search(r"pass", json.dumps(service.get("command") or "")), name


def test_the_script_makes_every_secret_that_is_mounted(
    observed: dict[str, Any], all_services: dict[str, Service], secrets: Path
) -> None:
    mounted = {secret["source"] for service in all_services.values() for secret in service.get("secrets", [])}

    assert mounted == set(observed["secrets"])
    assert mounted <= {file.name for file in secrets.iterdir()}


def test_who_may_say_who_may_what_in_consul(services: dict[str, Service], secrets: Path) -> None:
    holders = {
        secret: {name for name, service in services.items() if secret in mounted(service)}
        for secret in ("consul_management", "consul_guard")
    }
    guard = json.loads((secrets / "consul_guard").read_text())

    assert holders == {"consul_management": {"consul-access"}, "consul_guard": {"consul"}}
    assert guard["acl"]["tokens"]["initial_management"] == (secrets / "consul_management").read_text()
    major, minor, *_ = services["consul"]["image"].split(":")[1].split(".")
    assert guard == consul_guard(guard["acl"]["tokens"]["initial_management"], (int(major), int(minor)))


def test_each_is_known_to_consul_by_a_token_of_its_own(services: dict[str, Service], secrets: Path) -> None:
    tokens = {name: (secrets / f"consul_token_{name}").read_text() for name in SETTINGS}

    assert len(set(tokens.values())) == len(SETTINGS)
    for name in SETTINGS:
        assert {secret for secret in mounted(services[name]) if "consul" in secret} == {f"consul_token_{name}"}


def test_kong_is_given_the_token_as_its_entry_point_finds_it(services: dict[str, Service], tmp_path: Path) -> None:
    secret, entry = tmp_path / "gateway_token", tmp_path / "entrypoint.sh"
    secret.write_text("the token\n")
    entry.write_text('echo "$GATEWAY_TOKEN, $*"\n')
    kong = services["kong"]
    left = tmp_path / "bodies"
    left.mkdir()
    script = kong["entrypoint"][2].replace("$$", "$").replace("/run/secrets/gateway_token", str(secret))
    kept = kong["environment"]["KONG_NGINX_HTTP_CLIENT_BODY_TEMP_PATH"]
    assert script.startswith(f"rm -rf {kept}; ")
    script = script.replace(kept, str(left))
    assert "exec /docker-entrypoint.sh" in script
    script = script.replace("exec /docker-entrypoint.sh", f"exec bash {entry}")

    said = subprocess.run(
        [*kong["entrypoint"][:2], script, *kong["entrypoint"][3:], *kong["command"]],
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    ).stdout

    assert said == "the token, kong docker-start\n"
    assert not left.exists()  # what it held when it was killed
    assert kong["environment"]["KONG_NGINX_MAIN_ENV"] == "GATEWAY_TOKEN"  # else nginx would hide it from its workers


def mounted(service: Service) -> set[str]:
    return {secret["source"] for secret in service.get("secrets", [])}


def test_making_secrets_again_changes_none(secrets: Path) -> None:
    before = {file.name: file.read_bytes() for file in secrets.iterdir()}

    said = make_secrets(secrets)

    assert said == f"0 secrets made, the others kept, in {secrets}\n"
    assert {file.name: file.read_bytes() for file in secrets.iterdir()} == before
    assert secrets.stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o777 for file in secrets.iterdir()}
    assert modes.pop("tls_authority_key") == 0o600  # which no container is given
    assert set(modes.values()) == {0o444}


def test_what_is_missing_is_made_of_what_is_there(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    (tmp_path / "redis_url").unlink()
    (tmp_path / "redis_password").unlink()
    (tmp_path / "redis_password").write_text("from-a-vault\n")

    make_secrets(tmp_path)

    assert (tmp_path / "redis_url").read_text() == "redis://:from-a-vault@redis:6379/0"


# --- Settings ---------------------------------------------------------------------------------------------------------


def settings_class(name: str) -> type[ServiceSettings]:
    module, _, attribute = SETTINGS[name].partition(":")
    found: type[ServiceSettings] = getattr(importlib.import_module(module), attribute)
    return found


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_service_starts_with_what_it_is_given(
    services: dict[str, Service], secrets: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fields = settings_class(name).model_fields
    mounted = {secret["target"] for secret in services[name].get("secrets", [])}
    for variable, value in services[name]["environment"].items():
        if variable.endswith("_FILE"):
            assert value in mounted, f"{variable} names a secret that is not mounted"
            monkeypatch.setenv(variable, value.replace("/run/secrets", str(secrets)))
        elif value is not None:
            monkeypatch.setenv(variable, value)

    settings = settings_class(name)()

    assert settings.environment == "production"
    assert settings.consul_url == "http://consul:8500"
    given = {variable.lower() for variable in services[name]["environment"]}
    assert not {variable for variable in given - set(fields) if variable.removesuffix("_file") not in fields}
    assert settings.uses_tls


# --- What the documentation tells to write ----------------------------------------------------------------------------


def overrides() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "deploy.md").read_text(), re.DOTALL)


def test_documented_replicas_differ_by_name_only(read_compose: ReadCompose, tmp_path: Path) -> None:
    override = tmp_path / "override.yaml"
    override.write_text(next(text for text in overrides() if "extends" in text))

    services = read_compose(REPOSITORY / "compose.yaml", override)["services"]

    assert services["agents-2"] | {"container_name": "sutazai-agents"} == services["agents"]


def test_documented_way_gives_auth_a_mail_server(read_compose: ReadCompose, tmp_path: Path) -> None:
    override = tmp_path / "override.yaml"
    override.write_text(next(text for text in overrides() if "MAIL_URL" in text))

    auth = read_compose(REPOSITORY / "compose.yaml", override)["services"]["auth"]

    mounted = {secret["target"] for secret in auth["secrets"]}
    assert auth["environment"]["MAIL_URL_FILE"] in mounted
    assert auth["environment"].keys() >= {"MAIL_FROM", "PUBLIC_URL", "DATABASE_URL_FILE"}


def test_documented_way_leaves_tls_out_of_every_program_of_ours(read_compose: ReadCompose, tmp_path: Path) -> None:
    override = tmp_path / "override.yaml"
    override.write_text(next(text for text in overrides() if "TLS_AUTHORITY_FILE" in text))

    services = read_compose(REPOSITORY / "compose.yaml", override)["services"]

    given = {name: services[name]["environment"] for name in SETTINGS}
    assert {value for one in given.values() for name, value in one.items() if name.startswith("TLS_")} == {""}
    assert all(len([name for name in one if name.startswith("TLS_")]) == 3 for one in given.values())


def test_the_password_of_a_mail_provider_is_not_judged() -> None:
    documented = re.search(r"<<<'(smtp://\S+)'", (REPOSITORY / "docs" / "deploy.md").read_text())

    assert documented
    assert setting_weakness(SecretStr(documented[1])) is None


def test_documented_way_leaves_a_store_out(read_compose: ReadCompose, tmp_path: Path) -> None:
    override = tmp_path / "override.yaml"
    override.write_text(next(text for text in overrides() if "!reset" in text))

    services = read_compose(REPOSITORY / "compose.yaml", override)["services"]

    assert "postgres" not in services
    assert not [name for name, service in services.items() if "postgres" in service.get("depends_on", {})]
