"""Schemathesis on what is documented: every answer is declared, shaped as declared, and never a 500.

Each app's own document is held against the app, and the merged one against the gateway, where two users go from one
operation to the next by the documents' links. `FUZZ_SECONDS` (`make fuzz`) has each of them go on for its part of that.
"""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import orjson
import pytest

from local.suite import Suite
from tests.architecture.apps import APPS
from tests.fixtures.identity import RegisterUser, User, admin_headers
from tests.security.spec import FOR_ADMINS, OPERATIONS

CONFIGURATION = Path(__file__).parent / "schemathesis.toml"
HOOKS = Path(__file__).parent / "schemathesis_hooks.py"
GATEWAY = "gateway"
FUZZ_SECONDS = int(os.environ.get("FUZZ_SECONDS", "0"))
EVERY_PHASE = "examples,coverage,fuzzing,stateful"
PHASES = {GATEWAY: "examples,stateful"}
_USUAL = "examples,coverage,fuzzing"


@pytest.fixture
async def one(register_user: RegisterUser) -> User:
    """Who asks first."""
    return await register_user()


@pytest.fixture
async def agent_id(gateway: httpx.AsyncClient, one: User) -> str:
    body = {"name": "Answers", "instructions": "Say yes.", "capabilities": ["invoices"]}
    made = await gateway.post("/api/v1/agents/create", json=body, headers=one.headers)
    return str(made.raise_for_status().json()["id"])


@pytest.fixture
async def configuration(
    gateway: httpx.AsyncClient, suite: Suite, register_user: RegisterUser, one: User, tmp_path: Path
) -> Path:
    """Two users who must see nothing of each other, and the administrator for what neither may do.

    Each has logged in for this run alone, and what would end that is asked by a third.
    """
    callers = {"one": one.headers, "other": (await register_user()).headers}
    admin = (await admin_headers(gateway, suite))["Authorization"]
    known = [
        {"name": name, "fixedHeaders": [{"name": key, "value": value} for key, value in headers.items()]}
        for name, headers in callers.items()
    ]
    (tmp_path / "callers.json").write_bytes(orjson.dumps({"auth": known}))
    leaving = (await register_user()).headers["Authorization"]
    for_admins = [operation.id for operation in OPERATIONS if FOR_ADMINS.intersection(operation.scopes)]
    file = tmp_path / "schemathesis.toml"
    file.write_text(
        CONFIGURATION.read_text()
        .replace("{leaving}", leaving)
        .replace("deterministic = true", f"deterministic = {str(not FUZZ_SECONDS).lower()}")
        + f"\n[[operations]]\ninclude-operation-id = {for_admins}\n"
        + f'headers = {{ Authorization = "{admin}" }}\n'
        + f'\n[auth.wfc]\npath = "{tmp_path / "callers.json"}"\npeers = ["one", "other"]\n'
    )
    return file


@pytest.mark.timeout(max(600, FUZZ_SECONDS))
@pytest.mark.parametrize("app", [*APPS, GATEWAY])
def test_every_answer_is_as_the_document_says(
    suite: Suite, gateway: httpx.AsyncClient, configuration: Path, agent_id: str, app: str, tmp_path: Path
) -> None:
    if app == GATEWAY:
        address = str(gateway.base_url).rstrip("/")
        document = f"{address}/api/v1/openapi.json"
    else:
        address = f"http://127.0.0.1:{suite.site.ports[app]}"
        document = f"{address}/api/v1/{app}/openapi.json"
    reached = tmp_path / "reached"
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration),
        "run", document, "--url", address, "--no-color", "--phases", PHASES.get(app, _USUAL),
    ]  # fmt: skip
    if FUZZ_SECONDS:
        command[-1:] = [EVERY_PHASE, "--max-time", str(max(1, FUZZ_SECONDS // (len(APPS) + 1)))]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": str(HOOKS), "SCHEMATHESIS_REACHED": str(reached)}
    environment["SCHEMATHESIS_AGENT"] = agent_id

    run = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=max(590, FUZZ_SECONDS),
        check=False,
    )

    if report := os.environ.get("CONTRACT_REPORT"):
        Path(report).mkdir(parents=True, exist_ok=True)
        Path(report, f"{app}.txt").write_text(run.stdout + run.stderr)
        Path(report, f"{app}.reached").write_text(reached.read_text())
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
