"""How well searches find: forty questions in six languages, each of which one of forty-eight passages answers.

They are the manual of a coffee machine, the same eight passages in English, German, French, Spanish, Chinese and
Japanese, so that each has seven that are near it in meaning. Written for this; what counts is the passage in the
language of the question.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

MODES: Final = ("dense", "keyword", "hybrid")
_MANUAL: Final = Path(__file__).with_name("manual.json")
_K, _AT_ONCE = 4, 20
API: Final = "/api/v1/vectors"


@dataclass(frozen=True)
class Outcome:
    """Of how many questions the answer was found first, and among the first four."""

    mode: str
    first: int
    among_four: int
    questions: int


async def evaluate(client: httpx.AsyncClient, engine: str, modes: Sequence[str] = MODES) -> list[Outcome]:
    """Store the manual on `engine` as whoever `client` is, ask everything in each mode, and delete it again."""
    manual = json.loads(_MANUAL.read_text())
    name = f"manual-{secrets.token_hex(4)}"
    await _post(client, "/collections", {"name": name, "engine": engine})
    try:
        for start in range(0, len(manual["passages"]), _AT_ONCE):
            items = manual["passages"][start : start + _AT_ONCE]
            await _post(client, "/store", {"collection": name, "items": items})
        return [await _asked(client, name, manual["questions"], mode) for mode in modes]
    finally:
        await client.delete(f"{API}/collections/{name}")


async def _asked(client: httpx.AsyncClient, name: str, questions: list[dict[str, str]], mode: str) -> Outcome:
    searches = [{"collection": name, "query": one["question"], "k": _K, "mode": mode} for one in questions]
    answer = await _post(client, "/search/batch", {"searches": searches})
    found = [[match["id"] for match in result["results"]] for result in answer["results"]]
    pairs = list(zip(questions, found, strict=True))
    return Outcome(
        mode,
        first=sum(one["answer"] in ids[:1] for one, ids in pairs),
        among_four=sum(one["answer"] in ids for one, ids in pairs),
        questions=len(questions),
    )


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = (await client.post(f"{API}{path}", json=body)).raise_for_status()
    result: dict[str, Any] = answer.json()
    return result
