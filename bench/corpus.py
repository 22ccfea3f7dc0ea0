"""The vectors of the rows V1 and V2: seeded, and shaped as embeddings of texts are.

Uniform random vectors have no near neighbours, which resembles nothing. Here a tenth of the subjects has most of the
texts, as in a library; a text lies about its subject in a few dozen directions that all share, the first of which say
most; and a query is a text that nobody stored. Every record has three fields of metadata.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

QUERIES, NEAREST = 200, 10
_SUBJECT_TEXTS, _DIRECTIONS = 50, 48
_SPREAD = 0.7  # of the texts of a subject, beside the distance of subjects


@dataclass(frozen=True)
class Corpus:
    """`count` unit vectors of `dimension`."""

    count: int
    dimension: int

    @cached_property
    def vectors(self) -> Vectors:
        return self._drawn[: self.count]

    @cached_property
    def queries(self) -> Vectors:
        return self._drawn[self.count :]

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """The nearest of each query by comparing all, in no order."""
        products = self.queries @ self.vectors.T
        return np.argpartition(-products, NEAREST, axis=1)[:, :NEAREST]

    def metadata(self, at: int) -> dict[str, Any]:
        """`percent` is spread evenly, for filters of a known share."""
        return {"percent": at * 7919 % 100, "source": f"volume-{at % 53}.md", "public": at % 3 > 0}

    def text(self, at: int) -> str:
        return f"Passage {at} of volume {at % 53}: as long as a sentence or two of a manual, and about nothing at all."

    def save(self, file: Path) -> Path:
        """For a process that imports nothing of ours."""
        np.savez(file, vectors=self.vectors, queries=self.queries, truth=self.truth)
        return file

    @cached_property
    def _drawn(self) -> Vectors:
        random, whole = np.random.default_rng(20261126), self.count + QUERIES
        subjects = max(1, whole // _SUBJECT_TEXTS)
        popular = 1 / np.arange(1, subjects + 1)
        about = random.choice(subjects, whole, p=popular / popular.sum())
        directions = (
            random.standard_normal((_DIRECTIONS, self.dimension)) / np.arange(1, _DIRECTIONS + 1)[:, None] ** 0.5
        )
        places = random.standard_normal((subjects, _DIRECTIONS))
        drawn = (places[about] + _SPREAD * random.standard_normal((whole, _DIRECTIONS))) @ directions
        random.shuffle(drawn)  # the queries are of all subjects
        drawn += 0.05 * random.standard_normal(drawn.shape)
        return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
