"""What the tests of compose.yaml and of the Dockerfile share: the file as Docker Compose itself reads it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.patience import PATIENCE_SECONDS

REPOSITORY = Path(__file__).parents[2]
CACHE = Path(os.environ.get("SUTAZAI_CACHE") or REPOSITORY / ".local" / "cache")
COMPOSE_SCRIPTS = REPOSITORY / "deploy" / "compose"
Service = dict[str, Any]
ReadCompose = Callable[..., dict[str, Any]]


def make_secrets(directory: Path) -> str:
    """Runs the script as on a host that has Python and no package; what it says."""
    command = [sys.executable, "-I", "-S", str(COMPOSE_SCRIPTS / "make_secrets.py"), str(directory)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS).stdout


def fetch_program(folder: str, *package: str) -> str:
    """The path of a program of a Debian package, kept in a folder of the cache."""
    command = [str(COMPOSE_SCRIPTS / "fetch-program.sh"), str(CACHE / folder), *package]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=110).stdout.strip()


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script makes on a new machine."""
    directory = tmp_path_factory.mktemp("compose") / "secrets"
    make_secrets(directory)
    return directory


@pytest.fixture(scope="session")
def read_compose() -> ReadCompose:
    """Reads Compose files, the later over the earlier, with Docker Compose, which needs no engine for that."""
    program = fetch_program("compose", "docker-compose", "usr/bin/docker-compose", "trixie")

    def read(*files: Path, env_file: Path | None = None, profile: str = "") -> dict[str, Any]:
        chosen = [argument for file in files for argument in ("--file", str(file))]
        chosen += ["--profile", profile] if profile else []
        given = ["--env-file", str(env_file)] if env_file else []
        command = [program, "--project-directory", str(REPOSITORY), *given, *chosen, "config", "--format", "json"]
        # Of this machine only what the program needs: no variable of ours may decide what the file says.
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        assert result.returncode == 0, result.stderr
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    return read


@pytest.fixture(scope="session")
def compose(read_compose: ReadCompose) -> dict[str, Any]:
    return read_compose(REPOSITORY / "compose.yaml")


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = compose["services"]
    return found


@pytest.fixture(scope="session")
def observed(read_compose: ReadCompose) -> dict[str, Any]:
    """With what looks at it."""
    return read_compose(REPOSITORY / "compose.yaml", profile="observability")


@pytest.fixture(scope="session")
def all_services(observed: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = observed["services"]
    return found
