"""What compose.yaml relies on in the images of others stands in one table, with where it was read.

The table is `deploy/compose/images.toml`: a tag is raised there and in compose.yaml, and so not without looking.
"""

import re
import socket
import subprocess
import tomllib
from typing import Any

import pytest

from tests.architecture.conftest import COMPOSE_SCRIPTS, Service
from tests.fixtures.patience import PATIENCE_SECONDS

Image = dict[str, Any]
IMAGES: dict[str, Image] = tomllib.loads((COMPOSE_SCRIPTS / "images.toml").read_text())
OF_OTHERS = [
    "chromadb",
    "consul",
    "grafana",
    "jaeger",
    "kong",
    "neo4j",
    "otel-collector",
    "postgres",
    "prometheus",
    "qdrant",
    "rabbitmq",
    "redis",
    "redis-cache",
]
# What a shell has in itself.
BUILTIN = {"exec", "printf", "read", "test"}
ASSIGNMENT = re.compile(r'\w+="\$\$\(([^)]*)\)"\s+')
PROGRAM = re.compile(r"(?:^|&&|\||;)\s*(?:exec\s+(?!\d))?([A-Za-z/][\w./-]*)")


def facts(service: Service) -> Image:
    return IMAGES[service["image"].rpartition(":")[0]]


def commands(words: list[str]) -> set[str]:
    """The programs that a health check, an entry point or a command calls."""
    kind, *rest = words
    program, *arguments = rest if kind.startswith("CMD") else words
    if kind != "CMD-SHELL" and (program, *arguments[:1]) != ("bash", "-c"):
        return {program}
    text, shell = (program, set()) if kind == "CMD-SHELL" else (arguments[1], {program})
    parts = [ASSIGNMENT.sub("", text), *ASSIGNMENT.findall(text)]
    called = {found for part in parts for found in PROGRAM.findall(re.sub(r"'[^']*'|\[\[.*?\]\]", "", part))}
    return (called | shell) - BUILTIN


def test_the_table_has_every_image_of_others_and_no_other(all_services: dict[str, Service]) -> None:
    foreign = {name: service for name, service in all_services.items() if "build" not in service}

    assert sorted(foreign) == OF_OTHERS
    assert {service["image"].rpartition(":")[0] for service in foreign.values()} == set(IMAGES)


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_every_fact_has_a_source_and_says_what_was_seen(name: str) -> None:
    assert IMAGES[name].keys() == {"tag", "users", "tools", "owned", "paths", "source", "seen"}
    assert IMAGES[name]["source"].startswith("https://")
    assert len(IMAGES[name]["seen"]) > 20


@pytest.mark.parametrize("name", OF_OTHERS)
def test_a_container_relies_on_what_the_table_says_of_its_image(all_services: dict[str, Service], name: str) -> None:
    service = all_services[name]
    known = facts(service)

    assert service["image"].rpartition(":")[2] == known["tag"], f"look up {known['source']}, then raise both"
    assert service["user"] in known["users"]


@pytest.mark.parametrize("name", OF_OTHERS)
def test_it_calls_only_what_the_image_has(all_services: dict[str, Service], name: str) -> None:
    service = all_services[name]
    entry, command = service.get("entrypoint") or [], service.get("command") or []
    checks = [] if name == "otel-collector" else [service["healthcheck"]["test"]]
    # Without an entry point of ours the image's own takes a command for a program, or for its arguments.
    is_program = command and not entry and name != "chromadb" and not command[0].startswith("-")
    started = [entry] if entry else [command] if is_program else []
    called = {program for words in (*checks, *started) for program in commands(words)}

    assert called <= {*facts(service)["tools"], *facts(service)["paths"]}


@pytest.mark.parametrize("name", OF_OTHERS)
def test_it_covers_only_folders_that_are_known(all_services: dict[str, Service], name: str) -> None:
    service, known = all_services[name], facts(all_services[name])
    volumes = {mount["target"] for mount in service.get("volumes", []) if mount["type"] == "volume"}
    files = {mount["target"] for mount in service.get("volumes", []) if mount["type"] == "bind"}
    files |= {secret["target"] for secret in service.get("secrets", [])}
    memory = {mount.partition(":")[0] for mount in service.get("tmpfs", [])} - {"/tmp"}  # noqa: S108 - of a container

    assert volumes <= set(known["owned"])
    assert memory <= {*known["owned"], *known["paths"]}
    assert {file for file in files if not file.startswith("/run/secrets/")} <= set(known["paths"])


def script_of(service: Service, port: int) -> str:
    """Its health check in bash, asking this port."""
    command = re.sub(r"(/dev/tcp/127\.0\.0\.1)/\d+", rf"\1/{port}", " ".join(service["healthcheck"]["test"]))
    return command.replace("$$", "$").removeprefix("CMD bash -c ")


@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("503 Service Unavailable", 1)])
@pytest.mark.parametrize("name", ["chromadb", "kong", "qdrant"])
def test_health_checks_in_bash_tell_well_from_sick(
    services: dict[str, Service], name: str, status: str, code: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_SECONDS)  # a check that asks nobody fails here
        command = script_of(services[name], server.getsockname()[1])
        with subprocess.Popen(["/bin/bash", "-c", command]) as asking:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as received:
                asked = [received.readline(), received.readline()]  # bash sends line by line
                connection.sendall(f"HTTP/1.0 {status}\r\n\r\n".encode())
            assert asking.wait(PATIENCE_SECONDS) == code

    assert re.fullmatch(rb"GET /\S* HTTP/1.0\r\n", asked[0])
    assert asked[1] == b"\r\n"


def test_a_neo4j_that_does_not_agree_on_bolt_is_not_well(services: dict[str, Service]) -> None:
    """One that does is asked in tests/services/agents."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_SECONDS)
        with subprocess.Popen(["/bin/bash", "-c", script_of(services["neo4j"], server.getsockname()[1])]) as asking:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as received:
                offered = received.read(20)
                connection.sendall(bytes(4))
            assert asking.wait(PATIENCE_SECONDS) != 0

    assert offered == bytes.fromhex("6060b017 00000405 00000404 00000000 00000000")
