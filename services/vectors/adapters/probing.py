"""A point that an engine has to keep and give back, which shows whether it takes writes: it may answer all the same."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import numpy as np

from services.vectors.domain import Collection, EngineName, Metric, Record
from services.vectors.errors import CollectionMissing
from shared.health import require_kept

_ID: Final = "00000000-0000-0000-0000-000000000000"
_POINT: Final = "health"
_VECTOR: Final = np.array([1.0, 0.0], dtype=np.float32)


class Writable(Protocol):
    """What a probe needs of an engine."""

    name: EngineName

    async def create_collection(self, collection: Collection) -> None: ...

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None: ...

    async def find(self, collection: Collection, record_id: str) -> Record | None: ...


async def write_and_read_back(engine: Writable) -> None:
    """Raises Finding, and what the engine raises.

    The collection stands in no catalogue, by which alone requests find theirs, and its id is never made for another:
    so nobody can name, list or search it. It is made when it is missing, and never holds more than one point.
    """
    collection, written = reserved(engine.name), probe_point()
    try:
        await engine.upsert(collection, [written])
    except CollectionMissing:
        await engine.create_collection(collection)
        await engine.upsert(collection, [written])
    require_point(engine.name, written, await engine.find(collection, written.id))


def probe_point() -> Record:
    """The one point there, each time with another text."""
    return Record(_POINT, _VECTOR, secrets.token_hex(8))


def require_point(engine: EngineName, written: Record, found: Record | None) -> None:
    """Raises Finding unless `found` is what was written."""
    require_kept(engine.component, written.text, found and found.text)


def reserved(engine: EngineName) -> Collection:
    """The collection of health checks."""
    made_at = datetime.fromtimestamp(0, UTC)
    return Collection(_ID, "", "health", engine, _VECTOR.size, Metric.DOT, made_at)
