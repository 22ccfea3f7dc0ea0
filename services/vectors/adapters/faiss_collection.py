"""An open collection of FAISS: the file, and the index made from it."""

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from services.vectors.adapters.faiss_records import Content, FaissRecords, Near, graph_of, unfinished
from services.vectors.domain import (
    Collection,
    EngineName,
    Match,
    MetadataChanges,
    Record,
    Vector,
    comparable,
)
from services.vectors.errors import CollectionFull
from services.vectors.geometry import score
from services.vectors.metadata import merged
from services.vectors.terms import Condition

if TYPE_CHECKING:
    from services.vectors.adapters.faiss_index import SlotIndex
    from services.vectors.adapters.faiss_kept import Kept


class Nearest(NamedTuple):
    """What a search without a filter asks for."""

    vector: Vector
    limit: int
    exact: bool


class FaissCollection:
    """One open collection: the file, and the index made from it. Blocking."""

    def __init__(self, path: Path, collection: Collection, max_bytes: int, graph_from: float = math.inf) -> None:
        """Up to `graph_from` vectors, all are compared in a search."""
        # Importing FAISS takes most of a second, so it waits for the first collection and happens on a worker thread.
        index = importlib.import_module("services.vectors.adapters.faiss_index")
        self.records = FaissRecords(path)
        self.index: SlotIndex = index.SlotIndex(collection.dimension, collection.metric, graph_from)
        self._collection = collection
        self._max_vectors = max_bytes // (4 * collection.dimension)
        self.is_sound = True
        """Whether the index has what the file has: not where memory ran out between the two."""
        for slots, vectors in self.records.vectors():
            self.index.load(slots, vectors)
        self.graph_file = graph_of(path)
        if self.graph_file.exists():
            self.index.growth.expect()

    def upsert(self, records: Sequence[Record]) -> None:
        """The file first: what fails there changes nothing in memory. Raises CollectionFull."""
        slots = self.records.slots_of([record.id for record in records])
        new = [record.id for record in records if record.id not in slots]
        if len(self.index) + len(new) > self._max_vectors:
            raise CollectionFull(EngineName.FAISS, f"{self._max_vectors} vectors of {self._collection.dimension}")
        slots.update(zip(new, self.index.spare(len(new)), strict=True))
        placed = [(slots[record.id], record) for record in sorted(records, key=lambda record: slots[record.id])]
        self.records.write(placed)
        with self._followed():
            self.index.put([slot for slot, _ in placed], [record.vector for _, record in placed])

    def insert(self, records: Sequence[Record]) -> list[str]:
        there = self.records.slots_of([record.id for record in records])
        new = [record for record in records if record.id not in there]
        if new:
            self.upsert(new)
        return [record.id for record in new]

    def merge_metadata(self, record_id: str, changes: MetadataChanges) -> Record | None:
        """The index knows nothing of metadata. Raises MetadataTooLarge."""
        found = self.records.find(record_id)
        if found is None:
            return None
        made = replace(found, metadata=merged(found.metadata, changes))
        self.records.set_metadata(record_id, made.metadata)
        return made

    def search(self, asked: Sequence[Nearest]) -> list[list[Match]]:
        """Raises AnswerTooLarge where all of them together hold more than one may."""
        found: list[Near] = [([], [])] * len(asked)
        for limit, exact in {one[1:] for one in asked}:
            alike = [at for at, one in enumerate(asked) if one[1:] == (limit, exact)]
            nearest = self.index.search([asked[at].vector for at in alike], limit, exact=exact)
            for at, near in zip(alike, nearest, strict=True):
                found[at] = near
        contents = self.records.contents(list({slot for slots, _ in found for slot in slots}))
        return [self._scored(near, contents) for near in found]

    def search_among(self, asked: Nearest, condition: Condition) -> list[Match]:
        among = self.records.select(condition)
        near = self.index.search_among(asked.vector, asked.limit, among, exact=asked.exact)
        return self._scored(near, self.records.contents(near[0]))

    def _scored(self, near: Near, contents: Mapping[int, Content]) -> list[Match]:
        slots, values = near
        return _matches(slots, [score(self._collection.metric, value) for value in values], contents)

    def search_words(self, tokens: Sequence[int], limit: int, condition: Condition | None) -> list[Match]:
        found = self.records.best_worded(tokens, limit, condition)
        slots = [slot for slot, _ in found]
        return _matches(slots, [comparable(value) for _, value in found], self.records.contents(slots))

    def delete(self, slots: Sequence[int]) -> int:
        self.records.delete(slots)
        with self._followed():
            self.index.clear(slots)
        return len(slots)

    @contextmanager
    def _followed(self) -> Iterator[None]:
        """The index does what the file has done; where it does not, this is sound no more."""
        self.is_sound = False
        yield
        self.is_sound = True

    # --- The graph that is kept ---------------------------------------------------------------------------------------

    def kept_graph(self) -> "Kept | None":
        """If it is of use."""
        return self.index.kept_graph(self.graph_file)

    def settle_graph(self, *, is_there: bool) -> None:
        """The one that is written has its name now; it is deleted where this is not there any more. Raises OSError."""
        written = unfinished(self.graph_file)
        if is_there:
            written.replace(self.graph_file)
        else:
            written.unlink(missing_ok=True)

    def forget_graph(self) -> None:
        self.graph_file.unlink(missing_ok=True)

    @property
    def nbytes(self) -> int:
        return self.index.nbytes

    def close(self) -> None:
        self.records.close()


def _matches(slots: Sequence[int], scores: Sequence[float], contents: Mapping[int, Content]) -> list[Match]:
    return [Match(contents[slot][0], value, *contents[slot][1:]) for slot, value in zip(slots, scores, strict=True)]
