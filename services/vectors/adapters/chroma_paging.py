"""Records of a ChromaDB collection in an order, some at a time: its own pages shift when a record before them goes.

Each record has a *place*, a number made of its id, which ChromaDB finds by ranges. Places are spread evenly, so the
range that holds the next page is known from the number of records. Of collections made before there were places all ids
are read for each page, many at a time.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from services.vectors.adapters.chroma_api import ChromaApi, LongAnswer
from services.vectors.adapters.chroma_metadata import PLACE, PLACES, place_of

_WIDER = 4  # than the range before, in which there was too little
_COUNTED_AT_ONCE = 10_000  # ids, which are half a megabyte
_READ_AT_ONCE = 100_000  # ids: what lies before an offset is looked at each time

_Placed = tuple[int, str]


async def ids_after(
    api: ChromaApi,
    chroma_id: str,
    after: str | None,
    limit: int,
    where: Mapping[str, Any] | None,
    *,
    is_placed: bool,
    at_once: int = _READ_AT_ONCE,
) -> AsyncIterator[list[str]]:
    """Of the records that meet `where` the ids that follow `after`, in their order, some at a time, about `limit`."""
    if not is_placed:
        async for ids in _unplaced_after(api, chroma_id, after, 2 * limit, where, at_once):
            yield ids
        return
    low = -1 if after is None else place_of(after) - 1  # others may stand in its place
    width = PLACES * 2 * limit // max(1, await api.count(chroma_id)) + 1
    while low < PLACES - 1:
        high = min(PLACES - 1, low + width)
        yield _following(await api.ids(chroma_id, _within(low, high, where)), after)
        low, width = high, width * _WIDER


async def count_of(
    api: ChromaApi, chroma_id: str, where: Mapping[str, Any], *, is_placed: bool, at_once: int = _COUNTED_AT_ONCE
) -> int:
    """How many records meet `where`: ChromaDB counts all or none, so their ids are counted, up to `at_once` at once."""
    found = len(await api.ids(chroma_id, where, limit=at_once))
    if found < at_once:
        return found
    if not is_placed:
        return await _unplaced_count(api, chroma_id, where, at_once)
    found, low, width = 0, -1, PLACES // _WIDER
    while low < PLACES - 1:
        high = min(PLACES - 1, low + width)
        some = len(await api.ids(chroma_id, _within(low, high, where), limit=at_once))
        if some == at_once and width > 1:
            width = max(1, width // _WIDER)
        else:
            low, found = high, found + some
    return found


def _within(low: int, high: int, where: Mapping[str, Any] | None) -> Mapping[str, Any]:
    within = [{PLACE: {"$gt": low}}, {PLACE: {"$lte": high}}]
    return {"$and": [*within, *([where] if where else [])]}


async def _unplaced_after(
    api: ChromaApi, chroma_id: str, after: str | None, most: int, where: Mapping[str, Any] | None, at_once: int
) -> AsyncIterator[list[str]]:
    """As `ids_after`, up to `most` at a time, for each of which all ids are read."""
    while True:
        nearest: list[_Placed] = []
        async for _, ids in _parts(api, chroma_id, where, at_once):
            nearest = await asyncio.to_thread(_nearest, most, after, nearest, ids)
        yield [one for _, one in nearest]
        if len(nearest) < most:
            return
        after = nearest[-1][1]


async def _unplaced_count(api: ChromaApi, chroma_id: str, where: Mapping[str, Any], at_once: int) -> int:
    found = 0
    async for is_anew, ids in _parts(api, chroma_id, where, at_once):
        found = len(ids) + (0 if is_anew else found)
    return found


async def _parts(
    api: ChromaApi, chroma_id: str, where: Mapping[str, Any] | None, at_once: int
) -> AsyncIterator[tuple[bool, list[str]]]:
    """All ids that meet `where`, some at a time, and whether they begin anew: then what came before comes again.

    What is deleted shifts all that follow towards the beginning, and nothing shifts them back. So a part has to begin
    with an id of the part before, or else it is asked for from further back.
    """
    before: set[str] = set()
    reached, back = 0, 1
    while True:
        start = max(0, reached - back)
        try:
            ids = await api.ids(chroma_id, where, limit=at_once, offset=start)
        except LongAnswer:
            if at_once == 2:
                raise
            at_once = max(2, at_once // 2)
            continue
        if start and before.isdisjoint(ids[:1]):
            back *= _WIDER
            continue
        yield not start, [one for one in ids if not start or one not in before]
        if len(ids) < at_once:
            return
        before, reached, back = set(ids), start + len(ids), 1


def _nearest(most: int, after: str | None, known: Iterable[_Placed], ids: Iterable[str]) -> list[_Placed]:
    """Of those known and of `ids` the first that follow `after`, in their order."""
    return heapq.nsmallest(most, {*known, *_placed_after(ids, after)})


def _placed_after(ids: Iterable[str], after: str | None) -> list[_Placed]:
    start = (-1, "") if after is None else (place_of(after), after)
    return [placed for one in ids if (placed := (place_of(one), one)) > start]


def _following(ids: list[str], after: str | None) -> list[str]:
    return [one for _, one in sorted(_placed_after(ids, after))]
