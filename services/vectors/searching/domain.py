"""What is answered of a search."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.vectors.domain import Collection, Match, MetadataScalar


@dataclass(frozen=True, slots=True)
class Hit:
    """A match, and the value under which it stands where results are grouped."""

    match: Match
    group: MetadataScalar | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """`collection` as it was found."""

    collection: Collection
    hits: Sequence[Hit]
    took_ms: float
    reranked_by: str | None = None
    """The model that put the hits in order."""


@dataclass(frozen=True, slots=True)
class AllFound:
    """Of a batch, in the order of its searches."""

    found: Sequence[Found]
    took_ms: float
