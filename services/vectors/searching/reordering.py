"""The second look at what was found: a model that reads the query and each text gives the order."""

from collections.abc import Sequence
from dataclasses import replace

from services.vectors.domain import Match, comparable, ranked
from services.vectors.ports import Reranker
from shared.identity import Caller


async def reordered(reranker: Reranker, query: str, found: Sequence[Match], caller: Caller) -> list[Match]:
    """Those of `found` that have a text, with the model's scores, best first, ties by id. Raises what it raises."""
    readable = [(match, match.text) for match in found if match.text]
    if not readable:
        return []
    scores = await reranker.scores(query, [text for _, text in readable], caller)
    return ranked([replace(match, score=comparable(score)) for (match, _), score in zip(readable, scores, strict=True)])
