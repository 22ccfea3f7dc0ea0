"""The order of results, which depends on scores and ids alone: of one list, of two made one, and of groups."""

from collections.abc import Awaitable, Callable, Sequence

from services.vectors.domain import Match, MetadataScalar, comparable, ranked
from services.vectors.searching.domain import Hit

FUSION_DEPTH = 100
"""Of how many results of either list a fusion is made at least; with a larger `k`, of so many."""
# Ties have no order on any engine, so a few more than k are fetched; when the tie reaches past them, many more.
_TIE_MARGIN = 8
_TIE_LIMIT = 2048
_RRF = 60  # Cormack, Clarke and Büttcher 2009: how much less the first places count among themselves


async def best(fetch: Callable[[int], Awaitable[list[Match]]], k: int) -> list[Match]:
    """The first `k` of what `fetch` finds up to a limit, in any order; for up to 2,048 equal scores at the cut."""
    limit = k + _TIE_MARGIN
    while True:
        found = ranked(await fetch(limit))
        tie_goes_on = len(found) >= limit and found[-1].score == found[k - 1].score
        if not tie_goes_on or limit >= _TIE_LIMIT:
            return found[:k]
        limit = min(_TIE_LIMIT, limit * 4)


def fused(lists: Sequence[tuple[float, Sequence[Match]]]) -> list[Match]:
    """Ranked lists, each with its weight, as one by weighted reciprocal rank fusion; 1 is what is first in all."""
    whole = sum(weight for weight, _ in lists)
    scores: dict[str, float] = {}
    matches: dict[str, Match] = {}
    for weight, found in lists:
        for rank, match in enumerate(found, 1):
            share = weight / whole * (_RRF + 1) / (_RRF + rank)
            scores[match.id] = scores.get(match.id, 0.0) + share
            matches[match.id] = match
    return ranked(
        [
            Match(key, comparable(scores[key]), match.text, match.metadata)
            for key, match in matches.items()
            if scores[key]  # a weight of 0 finds nothing
        ]
    )


def grouped(found: Sequence[Match], field: str, groups: int, size: int) -> list[Hit]:
    """Up to `size` matches for each of the first `groups` values of `field`, group by group, by their best.

    A list stands under each of its values. 1 and 1.0 are one value, true is another.
    """
    by_value: dict[tuple[type, MetadataScalar], list[Hit]] = {}
    for match in found:
        values = match.metadata.get(field, [])
        for value in values if isinstance(values, list) else [values]:
            key = (float if isinstance(value, int) and not isinstance(value, bool) else type(value), value)
            if key not in by_value and len(by_value) == groups:
                continue
            hits = by_value.setdefault(key, [])
            if len(hits) < size and all(hit.match is not match for hit in hits):
                hits.append(Hit(match, hits[0].group if hits else value))
    return [hit for hits in by_value.values() for hit in hits]
