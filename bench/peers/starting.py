"""Installs what we compare ourselves with into an environment of its own, and starts it."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers import UVICORN, Server, free_port, serving
from local.layout import REPOSITORY

PROGRAMS = Path(__file__).parent
PYTHON = REPOSITORY / ".local" / "bench-peers" / "bin" / "python"
GLOSSES_DIMENSION = 256
LITELLM_KEY = f"sk-{os.urandom(32).hex()}"
"""Without one its proxy does not start."""
_GLOSSES, _WORDNET = PYTHON.parents[1] / "glosses.npz", Path("/usr/share/wordnet")
_INSTALL_SECONDS = 600


@dataclass(frozen=True, slots=True)
class FastAPIUsers:
    """The peer with its users, who all have one password."""

    server: Server
    emails: list[str]
    tokens: list[str]


def install() -> None:
    """Once; does nothing where they are there."""
    subprocess.run([REPOSITORY / "local" / "bootstrap.sh", "peer_environment"], check=True, timeout=_INSTALL_SECONDS)


def glosses() -> Path:
    """A file with the vectors and the texts; made once."""
    install()
    if not _WORDNET.exists():
        package = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "wordnet-base"]
        subprocess.run(package, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
    if not _GLOSSES.exists():
        made = [str(PYTHON), "glosses.py", str(_WORDNET), str(GLOSSES_DIMENSION), str(_GLOSSES)]
        subprocess.run(made, cwd=PROGRAMS, check=True, timeout=_INSTALL_SECONDS)
    return _GLOSSES


@contextmanager
def fastapi_users(database_url: str, *, users: int, password: str) -> Iterator[FastAPIUsers]:
    """On an empty database."""
    install()
    environment = {**os.environ, "PEER_DATABASE_URL": database_url, "PEER_SECRET": os.urandom(32).hex()}
    seed = [str(PYTHON), "seed.py", str(users), password]
    seeded = subprocess.run(seed, cwd=PROGRAMS, env=environment, capture_output=True, text=True, check=True)
    port = free_port()
    arguments = [*UVICORN, "fastapi_users_app:app", "--port", str(port), "--log-level", "warning"]
    with serving(arguments, environment, port=port, python=PYTHON, directory=PROGRAMS) as server:
        yield FastAPIUsers(server, [f"user-{number}@example.com" for number in range(users)], json.loads(seeded.stdout))


@contextmanager
def litellm(upstream_url: str) -> Iterator[Server]:
    """LiteLLM's proxy in front of a model server."""
    install()
    port = free_port()
    environment = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    environment["LITELLM_MASTER_KEY"] = LITELLM_KEY
    arguments = ["litellm_proxy.py", upstream_url, str(port)]
    with serving(arguments, environment, port=port, python=PYTHON, directory=PROGRAMS) as server:
        yield server


@contextmanager
def neomodel(environment: Mapping[str, str]) -> Iterator[Server]:
    """neomodel under FastAPI, on the graph that `environment` names."""
    install()
    port = free_port()
    arguments = [*UVICORN, "neomodel_app:app", "--port", str(port), "--log-level", "warning"]
    with serving(arguments, environment, port=port, python=PYTHON, directory=PROGRAMS) as server:
        yield server
