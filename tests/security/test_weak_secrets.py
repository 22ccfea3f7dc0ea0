"""S18: outside local mode a weak secret stops the start, with the name of the setting and without its value."""

import os
from pathlib import Path
from typing import Protocol

import pytest

from local.secrets import Secrets, consul_token
from tests.fixtures.warm import Ended, Warm

GENERATED = Secrets.generate()
POSTGRES = f"postgresql+asyncpg://user:{GENERATED.postgres_password}@127.0.0.1:1/"
STRONG = {
    "REDIS_URL": f"redis://:{GENERATED.redis_password}@127.0.0.1:1/0",
    "RABBITMQ_URL": f"amqp://user:{GENERATED.rabbitmq_password}@127.0.0.1:1/",
    "CURSOR_SECRET": GENERATED.cursor_secret,
    "CLIENT_SECRET": GENERATED.client_secrets["chat"],
    "GATEWAY_TOKEN": GENERATED.gateway_token,
    "CONSUL_TOKEN": consul_token(GENERATED.consul_management, "chat"),
    "DISCOVERY": "static",
}
OWN = {
    "services.auth": {
        "DATABASE_URL": POSTGRES,
        "KEY_ENCRYPTION_KEY": GENERATED.key_encryption_key,
        "API_KEY_PEPPER": GENERATED.api_key_pepper,
        "AUDIT_KEY": GENERATED.audit_key,
        "ADMIN_EMAIL": "admin@sutazai.dev",
        "ADMIN_PASSWORD": GENERATED.admin_password,
    },
    "services.agents": {
        "NEO4J_URL": "bolt://127.0.0.1:1",
        "NEO4J_PASSWORD": GENERATED.neo4j_password,
        "SECRET_ENCRYPTION_KEY": GENERATED.secret_encryption_key,
    },
    "services.chat": {"LLM_URL": "http://127.0.0.1:1/v1"},
    "services.vectors": {"CHROMADB_URL": "http://127.0.0.1:1"},
    "services.tasks": {"DATABASE_URL": POSTGRES, "SECRET_ENCRYPTION_KEY": GENERATED.secret_encryption_key},
    "services.tasks.worker": {"DATABASE_URL": POSTGRES, "SECRET_ENCRYPTION_KEY": GENERATED.secret_encryption_key},
}
BAD = [
    ("services.auth", "ADMIN_PASSWORD", "changeme-changeme"),
    ("services.auth", "API_KEY_PEPPER", "example-secret-example-secret-pepper"),
    ("services.auth", "KEY_ENCRYPTION_KEY", "k" * 43),
    ("services.auth", "SERVICE_CLIENT_SECRETS", '{"tasks": "client-secret-client-secret-client-secret"}'),
    ("services.auth", "SERVICE_CLIENT_SECRETS", "hunter2 is not JSON"),
    ("services.auth", "DATABASE_URL", "postgresql+asyncpg://postgres:postgres@127.0.0.1:1/"),
    ("services.auth", "PASSWORD_MEMORY_KIB", "64"),
    ("services.auth", "PASSWORD_ITERATIONS", "1"),
    ("services.agents", "NEO4J_PASSWORD", "neo4j-password-12345"),
    ("services.agents", "SECRET_ENCRYPTION_KEY", "k" * 43),
    ("services.agents", "REDIS_URL", "redis://127.0.0.1:6379/0"),
    ("services.chat", "LLM_API_KEY", "my-api-key-12345678"),
    ("services.chat", "LLM_URL", "http://user:hunter2hunter2@127.0.0.1:1/v1"),
    ("services.chat", "GATEWAY_TOKEN", "gateway-token-" * 3),
    ("services.chat", "CONSUL_TOKEN", "consul-token-1234"),
    ("services.vectors", "QDRANT_API_KEY", "0123456789abcdef"),
    ("services.vectors", "RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:1/"),
    ("services.tasks", "CURSOR_SECRET", "sutazai-" * 5),
    ("services.tasks.worker", "SECRET_ENCRYPTION_KEY", "k" * 43),
    ("services.tasks.worker", "CLIENT_SECRET", "a" * 40),
]


class Start(Protocol):
    """What a service says and ends with, started outside local mode."""

    def __call__(self, module: str, **changes: str) -> Ended: ...


@pytest.fixture
def start(warm: Warm) -> Start:
    def started(module: str, **changes: str) -> Ended:
        return warm.run(module, environment={"PATH": os.environ["PATH"]} | STRONG | OWN[module] | changes)

    return started


@pytest.mark.parametrize(("module", "variable", "value"), BAD, ids=[f"{bad[0]}-{bad[1]}" for bad in BAD])
def test_a_weak_secret_stops_the_start(start: Start, module: str, variable: str, value: str) -> None:
    ended = start(module, **{variable: value})

    assert (ended.code, ended.output) == (os.EX_CONFIG, "")
    lines = ended.error.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [["cannot start", variable]]
    assert value not in ended.error
    assert "hunter2" not in ended.error


def test_every_setting_that_is_wrong_has_its_own_line(start: Start) -> None:
    ended = start("services.auth", CURSOR_SECRET="changeme", ADMIN_PASSWORD="password", PORT="0")

    named = {line.split(": ")[1] for line in ended.error.splitlines()}
    assert (ended.code, named) == (os.EX_CONFIG, {"CURSOR_SECRET", "ADMIN_PASSWORD", "PORT"})
    assert "Traceback" not in ended.error


def test_a_weak_secret_in_a_file_is_refused_alike(start: Start, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("changeme-changeme\n")

    weak = start("services.agents", NEO4J_PASSWORD="", NEO4J_PASSWORD_FILE=str(tmp_path / "password"))
    absent = start("services.agents", REDIS_URL_FILE=str(tmp_path / "absent"))

    assert (weak.code, absent.code) == (os.EX_CONFIG, os.EX_CONFIG)
    assert "NEO4J_PASSWORD: " in weak.error
    assert "REDIS_URL_FILE: cannot be read" in absent.error


@pytest.mark.parametrize("module", OWN)
def test_generated_secrets_are_accepted_outside_local_mode(warm: Warm, module: str) -> None:
    environment = {"PATH": os.environ["PATH"]} | STRONG | OWN[module]

    built = warm.run("tests.security.built", module, environment=environment)

    assert (built.code, built.error) == (0, "")
