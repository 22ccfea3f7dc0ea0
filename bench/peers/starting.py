"""Installs what we compare ourselves with into an environment of its own, and starts it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.servers import UVICORN, Server, free_port, serving
from local.layout import REPOSITORY

_PROGRAMS = Path(__file__).parent
_PYTHON = REPOSITORY / ".local" / "bench-peers" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class FastAPIUsers:
    """The peer with its users, who all have one password."""

    server: Server
    emails: list[str]
    tokens: list[str]


@contextmanager
def fastapi_users(database_url: str, *, users: int, password: str) -> Iterator[FastAPIUsers]:
    """On an empty database."""
    subprocess.run([REPOSITORY / "local" / "bootstrap.sh", "peer_environment"], check=True, timeout=600)
    environment = {**os.environ, "PEER_DATABASE_URL": database_url, "PEER_SECRET": os.urandom(32).hex()}
    seed = [str(_PYTHON), "seed.py", str(users), password]
    seeded = subprocess.run(seed, cwd=_PROGRAMS, env=environment, capture_output=True, text=True, check=True)
    port = free_port()
    arguments = [*UVICORN, "fastapi_users_app:app", "--port", str(port), "--log-level", "warning"]
    with serving(arguments, environment, port=port, python=_PYTHON, directory=_PROGRAMS) as server:
        yield FastAPIUsers(server, [f"user-{number}@example.com" for number in range(users)], json.loads(seeded.stdout))
