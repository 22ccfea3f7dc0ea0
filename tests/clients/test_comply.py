"""Whether answers have the shapes that others hold servers of these protocols against (`make test-clients`)."""

import os
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.clients import obliging
from tests.clients.programs import run, uv

PACKAGE: Final = "llm-comply==0.5.0"
PROTOCOLS: Final = ("open-responses", "openai-chat")
pytestmark = [
    pytest.mark.skipif("CLIENTS" not in os.environ, reason="with CLIENTS=1, as it fetches clients"),
    pytest.mark.timeout(600),
]


async def complied(protocol: str, base_url: str, api_key: str, model: str, folder: Path) -> list[dict[str, Any]]:
    """What each of the suite's tests has come to."""
    said = await run(
        *(uv(), "run", "--no-project", "--python", "3.11", "--with", PACKAGE),
        *("llm-comply", "--format", protocol, "--json", "-u", base_url, "-k", api_key, "-m", model),
        cwd=folder,
        may_fail=True,
    )
    found: list[dict[str, Any]] = orjson.loads(said[said.index("{") :])["results"]
    return found


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("is_agent", [True, False])
async def test_answers_have_the_shapes_of_the_protocol(
    obliged: None, base_url: str, api_key: str, knowing: str, tmp_path: Path, protocol: str, is_agent: bool
) -> None:
    model = knowing if is_agent else obliging.NAME

    results = await complied(protocol, base_url, api_key, model, tmp_path)

    failed = {one["id"]: one["errors"] for one in results if one["status"] == "failed"}
    assert failed == {}
    assert [one["warnings"] for one in results if one.get("warnings")] == []
