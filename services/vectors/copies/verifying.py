"""Whether a copy is alike: as many records, and searches that find what is nearest."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from services.vectors.copies.domain import Copy
from services.vectors.copies.transfer import Place
from services.vectors.domain import Match, Vector, ranked

_NEAREST: Final = 10
_LOOKS: Final = 10
_LOOK_SECONDS: Final = 0.1
_SEARCHED_SECONDS: Final = 15.0  # exact searches of millions take a second each, and a step ends
_ALIKE: Final = 1e-4  # of scores: engines add up in 32 bits, each in its own order
SAMPLES: Final = 100


async def agreed_count(source: Place, target: Place, look: Callable[[], Awaitable[Copy]]) -> int | None:
    """How many records both hold, but for those that are being written at the moment; None where they differ.

    `look` reads the copy. A difference is one of the moment as long as there are as many changes to make good, or have
    been noted between the looks; who has written, and not noted it yet, has done so at the next.
    """
    for _ in range(_LOOKS):
        before = await look()
        there, here = await asyncio.gather(
            source.engine.count(source.collection), target.engine.count(target.collection)
        )
        after = await look()
        if abs(there - here) <= before.pending + after.noted - before.noted:
            return here
        await asyncio.sleep(_LOOK_SECONDS)
    return None


async def recall(
    source: Place, target: Place, ids: Sequence[str], *, embeds: bool, source_changes: bool = False
) -> float:
    """Of the ten records nearest to each of `ids`, the share that searches of the target find; 1.0 for no records.

    What is nearest is asked of the source, exactly where it can; of the target itself where vectors were made anew, or
    where the source changes so fast that it has others by now. Of as many of `ids` as there is time for.
    """
    vectors = [record.vector for record in (await target.find(ids)).values()]
    prefers_target = source_changes or not _is_exact(source)
    truth = target if embeds or (prefers_target and _is_exact(target)) else source
    shares, until = list[float](), time.monotonic() + _SEARCHED_SECONDS
    for vector in vectors:
        shares.append(await _share(truth, target, vector))
        if time.monotonic() >= until:
            break
    return sum(shares) / len(shares) if shares else 1.0


async def _share(truth: Place, target: Place, vector: Vector) -> float:
    """By their scores: of equal ones any may be found."""
    nearest = await _search(truth, vector, exact=truth.engine.capabilities().exact_on_request)
    found = await _search(target, vector, exact=False)
    if not nearest:
        return 1.0
    least = nearest[-1].score
    hits = sum(match.score >= least - _ALIKE * max(1.0, abs(least)) for match in found)
    return min(1.0, hits / len(nearest))


async def _search(place: Place, vector: Vector, *, exact: bool) -> list[Match]:
    return ranked(await place.engine.search(place.collection, vector, _NEAREST, None, exact=exact))


def _is_exact(place: Place) -> bool:
    can = place.engine.capabilities()
    return can.exact or can.exact_on_request
