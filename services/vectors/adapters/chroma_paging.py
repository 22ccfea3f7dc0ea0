"""Records of a ChromaDB collection in an order, some at a time: its own pages shift when a record before them goes.

Each record has a *place*, a number made of its id, which ChromaDB finds by ranges. Places are spread evenly, so the
range that holds the next page is known from the number of records. Collections made before there were places are read
whole, ids only, for each page.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from services.vectors.adapters.chroma_api import ChromaApi
from services.vectors.adapters.chroma_metadata import PLACE, PLACES, place_of

_WIDER = 4  # than the range before, in which there was too little
_COUNTED_AT_ONCE = 10_000  # ids, which are half a megabyte


async def ids_after(
    api: ChromaApi, chroma_id: str, after: str | None, limit: int, where: Mapping[str, Any] | None, *, is_placed: bool
) -> AsyncIterator[list[str]]:
    """Of the records that meet `where` the ids that follow `after`, in their order, some at a time, about `limit`."""
    if not is_placed:
        yield _following(await api.ids(chroma_id, where), after)
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
    """How many records meet `where`: ChromaDB counts all or none, so their ids are counted, fewer than `at_once`."""
    found = len(await api.ids(chroma_id, where, limit=at_once if is_placed else None))
    if found < at_once or not is_placed:
        return found
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


def _following(ids: list[str], after: str | None) -> list[str]:
    ordered = sorted((place_of(one), one) for one in ids)
    start = (-1, "") if after is None else (place_of(after), after)
    return [one for place, one in ordered if (place, one) > start]
