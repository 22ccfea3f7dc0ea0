"""Schemathesis on each service's own document: every answer is declared, shaped as declared, and never a 500."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.identity import User

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
HOOKS = Path(__file__).parent / "schemathesis_hooks.py"
SERVICES = ("auth", "agents", "chat", "vectors", "tasks")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_is_as_the_document_says(
    suite: Suite, gateway: httpx.AsyncClient, user: User, service: str, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{suite.site.ports[service]}"
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION),
        "run", f"{address}/api/v1/{service}/openapi.json", "--url", address,
        "--header", f"Authorization: Bearer {user.token}", "--no-color",
    ]  # fmt: skip

    environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)}

    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=590, check=False
    )

    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
