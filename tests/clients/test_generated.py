"""Clients that are generated from the merged document compile, and complete the README's journey (`make test-clients`).

What generates them is fetched by its package manager, so `make test` does without.
"""

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.clients.programs import uv

JOURNEYS = Path(__file__).parent / "journeys"
PYTHON_GENERATOR = "openapi-python-client==0.29.1"
TYPESCRIPT = ["openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3", "@types/node@20"]
FOUND = 'green#0 "1: True True\n'
pytestmark = [
    pytest.mark.skipif("CLIENTS" not in os.environ, reason="with CLIENTS=1, as it fetches generators"),
    pytest.mark.timeout(600),
]


@pytest.fixture
async def document(gateway: httpx.AsyncClient, tmp_path: Path) -> Path:
    file = tmp_path / "openapi.json"
    file.write_bytes((await gateway.get("/api/v1/openapi.json")).raise_for_status().content)
    return file


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-10_000:]}\n{done.stderr[-10_000:]}"
    return done.stdout


def email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


def test_the_python_client_completes_the_journey(gateway: httpx.AsyncClient, document: Path, tmp_path: Path) -> None:
    made = tmp_path / "sutazai_client"
    document.write_bytes(orjson.dumps(_with_one_kind_of_body(orjson.loads(document.read_bytes()))))
    generate = ["generate", "--path", str(document), "--meta", "none", "--output-path", str(made)]
    run(uv(), "tool", "run", "--from", PYTHON_GENERATOR, "openapi-python-client", *generate, cwd=tmp_path)
    run(sys.executable, "-m", "compileall", "-q", made, cwd=tmp_path)

    said = run(
        sys.executable, JOURNEYS / "journey.py", str(gateway.base_url), email(), cwd=tmp_path, PYTHONPATH=str(tmp_path)
    )

    assert said == FOUND


def _with_one_kind_of_body(document: dict[str, Any]) -> dict[str, Any]:
    """JSON where there is a choice: of an operation with more, this generator makes a module that lacks an import."""
    for item in document["paths"].values():
        for operation in item.values():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                operation["requestBody"]["content"] = {"application/json": content["application/json"]}
    return document


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js")
def test_the_typescript_client_completes_the_journey(
    gateway: httpx.AsyncClient, document: Path, tmp_path: Path
) -> None:
    (tmp_path / "package.json").write_text('{"type": "module"}')
    run("npm", "install", "--no-audit", "--no-fund", *TYPESCRIPT, cwd=tmp_path)
    run("npx", "openapi-typescript", document, "--default-non-nullable=false", "-o", "sutazai.d.ts", cwd=tmp_path)
    shutil.copy(JOURNEYS / "journey.ts", tmp_path)
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"]
    run("npx", "tsc", *options, "--types", "node", "journey.ts", cwd=tmp_path)

    said = run("node", "journey.js", str(gateway.base_url).rstrip("/"), email(), cwd=tmp_path)

    assert said == FOUND
