"""What searches find of a manual in six languages: `make eval`, held to what was promised."""

import httpx
import pytest

from bench.evaluation import evaluate


@pytest.mark.parametrize("engine", ["qdrant", "faiss"])
async def test_hybrid_finds_more_than_either_alone(client: httpx.AsyncClient, engine: str) -> None:
    client.timeout = httpx.Timeout(120)
    outcomes = {outcome.mode: outcome for outcome in await evaluate(client, engine)}

    dense, keyword, hybrid = outcomes["dense"], outcomes["keyword"], outcomes["hybrid"]
    assert hybrid.questions == 40
    assert hybrid.first >= 34
    assert hybrid.first > max(dense.first, keyword.first), outcomes
    assert hybrid.among_four > max(dense.among_four, keyword.among_four) or hybrid.among_four == 40, outcomes
