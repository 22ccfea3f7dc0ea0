"""Records stored one by one through a kill, and whether each that was acknowledged is found in every way there is."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import httpx

from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS

COLLECTIONS: Final = "/api/v1/vectors/collections"
_DIMENSION: Final = 8
_STORING: Final = 32
_READING: Final = 8
_PAUSE_SECONDS: Final = 0.25  # of a client that means to try again, and leaves what starts its processor
_SEARCHES: Final = 64
_LATER: Final = (503, 504)
_BLOCK: Final = 50
"""Records that one filter leaves: among so few every engine is exact, whatever its index makes of more."""


def vector_of(number: int) -> list[float]:
    """The same in every process."""
    numbers = random.Random(number)
    return [round(numbers.uniform(-1, 1), 6) for _ in range(_DIMENSION)]


def text_of(number: int) -> str:
    """With a word that no other record has."""
    return f"what was kept of only{number}"


@dataclass
class Keeping:
    """A collection of `engine`, filled by several clients at once."""

    client: httpx.AsyncClient
    user: User
    engine: str
    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    """Those of which nobody knows whether they are there."""
    statuses: set[int] = field(default_factory=set)
    """Of the answers that refused them."""
    slowest_seconds: float = 0.0
    _name: str = "kept"
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def make(self) -> None:
        """The collection, new."""
        body = {"name": self._name, "engine": self.engine, "dimension": _DIMENSION, "metric": "l2"}
        (await self._post(COLLECTIONS, body)).raise_for_status()

    async def remove(self) -> None:
        """The collection: ChromaDB's server goes on after the test."""
        await self.client.delete(f"{COLLECTIONS}/{self._name}", headers=self.user.headers)

    async def fill(self, most: int, strike: Callable[[], Awaitable[None]]) -> None:
        """Stores until `most` are acknowledged, and strikes once half of them are."""
        clients = [asyncio.create_task(self._store_until(most)) for _ in range(_STORING)]
        try:
            await self._until(most // 2)
            await strike()
            await asyncio.gather(*clients)
        finally:
            for one in clients:
                one.cancel()

    async def _until(self, number: int) -> None:
        while len(self.acknowledged) < number:  # noqa: ASYNC110 - the clients work
            await asyncio.sleep(0.005)

    async def _store_until(self, most: int) -> None:
        for number in self._numbers:
            if len(self.acknowledged) >= most:
                return
            item = {
                "id": f"{number}",
                "vector": vector_of(number),
                "text": text_of(number),
                "metadata": {"block": number // _BLOCK},
            }
            if await self._is_stored(item):
                self.acknowledged.add(number)
            else:
                self.refused.add(number)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _is_stored(self, item: dict[str, Any]) -> bool:
        """Tried until somebody is there to take it."""
        while True:
            began = time.monotonic()
            try:
                stored = await self._post("/api/v1/vectors/store", {"collection": self._name, "items": [item]})
                break
            except httpx.ConnectError:  # it is not up yet
                await asyncio.sleep(_PAUSE_SECONDS)
            except httpx.TransportError:  # it is being killed
                return False
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
        if not stored.is_success:
            self.statuses.add(stored.status_code)
        return stored.is_success

    async def lost_by_id(self) -> list[int]:
        """What is not there, or not as it was stored."""
        return await self._unlike(self.acknowledged, {200})

    async def torn(self) -> list[int]:
        """What was not acknowledged, and is neither there as it was to be stored nor away."""
        return await self._unlike(self.refused, {200, 404})

    async def _unlike(self, numbers: set[int], statuses: set[int]) -> list[int]:
        async def is_well(number: int) -> bool:
            place = f"{COLLECTIONS}/{self._name}/records/{number}"
            answer = await self._told(lambda: self.client.get(place, headers=self.user.headers))
            if answer.status_code not in statuses or answer.is_error:
                return answer.status_code in statuses
            found, block = answer.json(), number // _BLOCK
            return bool(found["text"] == text_of(number) and found["metadata"] == {"block": block})

        unlike: list[int] = []
        for some in _parts(sorted(numbers), _READING):
            well = await asyncio.gather(*map(is_well, some))
            unlike += [number for number, is_so in zip(some, well, strict=True) if not is_so]
        return unlike

    async def lost_to_searches(self) -> list[int]:
        """What its own vector does not find, among the records of its block."""
        return await self._lost_to(
            lambda number: {
                "vector": vector_of(number),
                "filter": {"field": "block", "op": "eq", "value": number // _BLOCK},
            }
        )

    async def lost_to_keywords(self) -> list[int]:
        """What its own word does not find, among all."""
        return await self._lost_to(lambda number: {"mode": "keyword", "query": f"only{number}"})

    async def _lost_to(self, query: Callable[[int], dict[str, Any]]) -> list[int]:
        lost: list[int] = []
        for some in _parts(sorted(self.acknowledged), _SEARCHES):
            searches = [{"collection": self._name, "k": 1, **query(number)} for number in some]
            answer = await self._told(partial(self._post, "/api/v1/vectors/search/batch", {"searches": searches}))
            found = [[match["id"] for match in one["results"]] for one in answer.raise_for_status().json()["results"]]
            lost += [number for number, ids in zip(some, found, strict=True) if ids != [f"{number}"]]
        return lost

    async def count(self) -> int:
        place = f"{COLLECTIONS}/{self._name}"
        answer = await self._told(lambda: self.client.get(place, headers=self.user.headers))
        return int(answer.raise_for_status().json()["count"])

    async def _told(self, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """The answer, which says what is there: one that is to come later is asked for again, as it may then."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while (answer := await ask()).status_code in _LATER and time.monotonic() < give_up_at:  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE_SECONDS)
        return answer

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return await self.client.post(path, json=body, headers=self.user.headers)


def _parts(numbers: list[int], most: int) -> Iterable[list[int]]:
    return (numbers[start : start + most] for start in range(0, len(numbers), most))
