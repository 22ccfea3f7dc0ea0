"""A collection that lives, and what a search in it must find: said by comparing everything with everything.

Numbers are whole and cosines are sixteenths of them, so 32 bits lose nothing: what differs between two engines is what
they find, and not how they round. Directions repeat, so there are ties.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np

from services.vectors.domain import Metric, Record, Vector
from tests.contracts.vectors.conftest import Space
from tests.contracts.vectors.language import FIELDS, NUMBERS, RANGES, TEXTS, Filter, leaf, matches

DIMENSION = 8
RECORDS = 2000
IDS: Final = [f"{at:04} ü" for at in range(RECORDS)]
GONE: Final = {"or": [leaf("kind", "exists", True), leaf("year", "lt", 0)]}
_LENGTH = 16
_DIRECTIONS = 400
_VALUES: list[Any] = [*TEXTS, *NUMBERS, True, False]
_FEW = FIELDS[:5]  # most conditions ask for fields that many records have
_LEAVES_DEEP = 2


@cache
def directions() -> np.ndarray:
    """Whole numbers, all of one length, which is a power of two."""
    numbers = np.random.default_rng(29).integers(-9, 10, size=(50_000, DIMENSION - 1))
    rest = _LENGTH**2 - (numbers**2).sum(axis=1)
    last = np.sqrt(np.maximum(rest, 0)).round().astype(int)
    whole = (rest >= 0) & (last**2 == rest)
    return np.column_stack([numbers[whole], last[whole]])[:_DIRECTIONS]


def a_vector(chance: random.Random, space: Space) -> Vector:
    return space.vector(*(chance.choice(directions()) * chance.randint(1, 3)))


def a_metadata(chance: random.Random) -> dict[str, Any]:
    """Fields that others lack, and of other types."""
    names = chance.sample(_FEW, chance.randint(0, 4)) + chance.sample(FIELDS, chance.randint(0, 2))
    return {name: _value(chance) for name in names}


def _value(chance: random.Random) -> Any:
    return chance.choices(_VALUES, k=chance.randint(0, 4)) if chance.random() < 0.2 else chance.choice(_VALUES)


def a_filter(chance: random.Random, depth: int = 0) -> Filter:
    if depth < _LEAVES_DEEP and chance.random() < 0.6:
        word = chance.choice(["and", "or", "not"])
        parts = [a_filter(chance, depth + 1) for _ in range(chance.randint(1, 3))]
        return {"not": parts[0]} if word == "not" else {word: parts}
    name, op = chance.choice([*_FEW, *FIELDS]), chance.choice(["eq", "ne", "in", "nin", "exists", *RANGES])
    match op:
        case "exists":
            return leaf(name, op, chance.random() < 0.7)
        case "in" | "nin":
            return leaf(name, op, chance.choices(_VALUES, k=chance.randint(1, 4)))
        case "eq" | "ne":
            return leaf(name, op, chance.choice(_VALUES))
    return leaf(name, op, chance.choice(NUMBERS))


@dataclass(frozen=True)
class Search:
    vector: Vector
    k: int
    condition: Filter | None


def searches(number: int, seed: int, space: Space) -> Iterator[Search]:
    chance = random.Random(seed)
    for _ in range(number):
        condition = a_filter(chance) if chance.random() < 0.75 else None
        yield Search(a_vector(chance, space), chance.choice([1, 3, 10, 10, 100, 1000]), condition)


@dataclass
class Oracle:
    """What a collection holds, and what is nearest in it."""

    metric: Metric
    records: dict[str, Record] = field(default_factory=dict)

    def upsert(self, records: Sequence[Record]) -> None:
        self.records.update({record.id: record for record in records})

    def delete(self, ids: Sequence[str]) -> None:
        for one in ids:
            self.records.pop(one, None)

    def meeting(self, condition: Filter | None) -> list[Record]:
        return [one for one in self.records.values() if condition is None or matches(condition, one.metadata)]

    def nearest(self, search: Search) -> list[tuple[str, float]]:
        """Ids and scores, best first, equal ones by id."""
        found = [(one.id, self._score(search.vector, one.vector)) for one in self.meeting(search.condition)]
        return sorted(found, key=lambda one: (-one[1], one[0]))[: search.k]

    def _score(self, one: Vector, other: Vector) -> float:
        a, b = one.astype(np.float64), other.astype(np.float64)
        return -float(np.linalg.norm(a - b)) if self.metric is Metric.L2 else float(a @ b)


def some_records(chance: random.Random, ids: Sequence[str], space: Space) -> list[Record]:
    return [Record(one, a_vector(chance, space), None, a_metadata(chance)) for one in ids]


@dataclass(frozen=True)
class Check:
    """A search, and what it has to find."""

    search: Search
    expected: list[tuple[str, float]]


@dataclass(frozen=True)
class Life:
    """What is done to a collection, and what has to be found in it after each of the three changes."""

    stored: list[Record]
    replaced: list[Record]
    gone: int
    """How many records meet `GONE` when those that meet it are deleted."""
    deleted: list[str]
    stored_again: list[Record]
    checks: list[list[Check]]


@cache
def life(metric: Metric, searches_each: int) -> Life:
    """The same for every engine, so comparing everything with everything is done once for all of them."""
    chance, space, oracle = random.Random(11), Space(metric), Oracle(metric)
    checks: list[list[Check]] = []

    def store(ids: Sequence[str]) -> list[Record]:
        records = some_records(chance, ids, space)
        oracle.upsert(records)
        return records

    def check() -> None:
        some = searches(searches_each, len(checks) + 1, space)
        checks.append([Check(search, oracle.nearest(search)) for search in some])

    stored = store(IDS)
    check()
    replaced = store(chance.sample(IDS, RECORDS // 5))
    check()
    gone = [record.id for record in oracle.meeting(GONE)]
    oracle.delete(gone)
    deleted = chance.sample(IDS, RECORDS // 5)
    oracle.delete(deleted)
    stored_again = store(deleted[: RECORDS // 20])
    check()
    return Life(stored, replaced, len(gone), deleted, stored_again, checks)
