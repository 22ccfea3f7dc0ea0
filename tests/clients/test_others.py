"""The clients that teams have, unmodified, each in an environment of its own (`make test-clients`): knowledge in, a
question, an answer in pieces with its citation, a call of a tool of the client's, an error."""

import os
import shutil
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.clients import obliging
from tests.clients.programs import run, uv

JOURNEYS = Path(__file__).parent / "journeys" / "others"
PYTHON: Final = {
    "by_langchain.py": ["langchain-openai==1.7.4"],
    "by_llama_index.py": ["llama-index-llms-openai-like==0.8.1"],
    "by_litellm.py": ["litellm==1.110.2"],
    "by_openai_agents.py": ["openai-agents==0.24.0"],
    "by_pydantic_ai.py": ["pydantic-ai-slim[openai]==2.68.0"],
}
NODE: Final = {
    "by_openai.mjs": ["openai@7.59.0"],
    "by_ai_sdk.mjs": ["ai@7.0.173", "@ai-sdk/openai-compatible@3.0.92"],
}
FOUND: Final = {
    "answer": "".join(obliging.ANSWER),
    "call": [obliging.CALL["name"], {"city": "Ulm"}],
    "final": "It is rain in Ulm",
    "error": [404, "chat.model_not_found"],
}
pytestmark = [
    pytest.mark.skipif("CLIENTS" not in os.environ, reason="with CLIENTS=1, as it fetches clients"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
async def agent(obliged: None, knowing: str) -> str:
    """The name of an agent whose model does as it is told."""
    return knowing


def found_in(said: str) -> dict[str, Any]:
    """The last line, which is the journey's."""
    return dict(orjson.loads(said.strip().splitlines()[-1]))


@pytest.mark.parametrize("journey", PYTHON)
async def test_a_python_client_completes_the_journey(
    agent: str, base_url: str, api_key: str, tmp_path: Path, journey: str
) -> None:
    packages = [word for package in PYTHON[journey] for word in ("--with", package)]

    said = await run(
        uv(), "run", "--no-project", "--python", "3.11", *packages, JOURNEYS / journey, base_url, api_key, agent,
        cwd=tmp_path,
    )  # fmt: skip

    assert found_in(said) == FOUND


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js")
@pytest.mark.parametrize("journey", NODE)
async def test_a_client_of_npm_completes_the_journey(
    agent: str, base_url: str, api_key: str, tmp_path: Path, journey: str
) -> None:
    (tmp_path / "package.json").write_text('{"type": "module"}')
    await run("npm", "install", "--no-audit", "--no-fund", *NODE[journey], cwd=tmp_path)
    shutil.copy(JOURNEYS / journey, tmp_path)

    assert found_in(await run("node", journey, base_url, api_key, agent, cwd=tmp_path)) == FOUND
