"""Schemathesis on each service's own document: every answer is declared, shaped as declared, and never a 500."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from local.suite import Suite
from services.auth.trust.scopes import Role, scopes_of
from services.topology import SERVICES
from tests.fixtures.identity import admin_headers

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
HOOKS = Path(__file__).parent / "schemathesis_hooks.py"


@pytest.fixture
async def api_key(gateway: httpx.AsyncClient, suite: Suite) -> str:
    """All that there is to do, by a key: what the run calls, logout too, must not end what other tests hold."""
    body = {"name": "schemathesis", "scopes": sorted(scopes_of(Role.OWNER, is_admin=True))}
    made = await gateway.post("/api/v1/auth/api-keys", json=body, headers=await admin_headers(gateway, suite))
    return str(made.raise_for_status().json()["key"])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_is_as_the_document_says(
    suite: Suite, gateway: httpx.AsyncClient, api_key: str, service: str, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{suite.site.ports[service]}"
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION),
        "run", f"{address}/api/v1/{service}/openapi.json", "--url", address,
        "--header", f"X-API-Key: {api_key}", "--no-color",
    ]  # fmt: skip

    environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS)}

    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=590, check=False
    )

    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
