#!/usr/bin/env python3
"""Makes the secrets that compose.yaml mounts, once.

A file that exists is kept, so running this again after an upgrade adds what the new version needs and changes nothing
else, but for certificates: one with less than a third of its life left is renewed, and used from the next restart on.
The directory is closed to other users of this machine. The files in it are readable, because a container runs under a
user of its own, and the file it is given keeps the mode it has here; no container is given the authority's key. It
takes Python 3.11 and the program openssl, and no packages.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from local import certificates  # noqa: E402 - the line above finds it
from local.consul_access import PROMETHEUS, REGISTERING, guard  # noqa: E402 - likewise
from local.secrets import consul_token, new_secret, put_new  # noqa: E402 - likewise
from services.topology import CLIENTS, SECRETS, SERVICES, SecretKind  # noqa: E402 - likewise

DEFAULT = REPOSITORY / ".local" / "compose-secrets"
CONSUL_VERSION = (2, 0)  # of compose.yaml
DATABASES = [service.name for service in SERVICES.values() if service.has_database]
RANDOM: dict[str, SecretKind] = {
    **SECRETS,
    **{f"postgres_{name}_password": "password" for name in DATABASES},
    **{f"client_secret_{name}": "password" for name in CLIENTS},
    "grafana_password": "password",
}


def in_the_form_of_programs(known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The same again, in the form in which each program wants it."""
    for name in DATABASES:
        password = known[f"postgres_{name}_password"]
        yield f"{name}_database_url", f"postgresql+asyncpg://{name}:{password}@postgres:5432/"
    for name in ("redis", "redis_cache"):
        password, host = known[f"{name}_password"], name.replace("_", "-")
        yield f"{name}_auth", f"requirepass {password}\n"
        yield f"{name}_url", f"redis://:{password}@{host}:6379/0"
    rabbitmq = known["rabbitmq_password"]
    yield "rabbitmq_auth", f"default_user = sutazai\ndefault_pass = {rabbitmq}\ndefault_vhost = sutazai\n"
    yield "rabbitmq_url", f"amqp://sutazai:{rabbitmq}@rabbitmq:5672/sutazai"
    yield "neo4j_auth", f"neo4j/{known['neo4j_password']}"
    management = known["consul_management"]
    yield "consul_guard", json.dumps(guard(management, CONSUL_VERSION), indent=2)
    yield from ((f"consul_token_{name}", consul_token(management, name)) for name in (*REGISTERING, PROMETHEUS))
    yield "service_client_secrets", json.dumps({name: known[f"client_secret_{name}"] for name in CLIENTS})


def make_missing(directory: Path) -> int:
    """How many there were to make."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    made = [put_new(directory / name, new_secret(kind), 0o444) for name, kind in RANDOM.items()]
    known = {name: (directory / name).read_text().rstrip("\n") for name in RANDOM}
    made += [put_new(directory / name, text, 0o444) for name, text in in_the_form_of_programs(known)]
    return sum(made) + certificates.put_missing(directory, 0o444)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "directory", nargs="?", type=Path, default=DEFAULT, help="%(default)s, where compose.yaml looks"
    )
    chosen = parser.parse_args().directory
    print(f"{make_missing(chosen)} secrets made, the others kept, in {chosen}")  # noqa: T201 - what it has to say
