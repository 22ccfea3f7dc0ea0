"""Collections and records: what the service keeps, whichever engine keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.words import Word

READ, WRITE = "vectors:read", "vectors:write"

Vector = NDArray[np.float32]
MetadataScalar = str | bool | int | float
Metadata = Mapping[str, MetadataScalar | list[MetadataScalar]]
MetadataChanges = Mapping[str, MetadataScalar | list[MetadataScalar] | None]

MAX_DIMENSION = 4096
MAX_ITEMS = 1000
MAX_K = 1000
MAX_GROUP_SIZE = 10
MAX_CANDIDATES = 200
CANDIDATES = 50  # that are reordered, unless told
MAX_BATCH = 64
MAX_BATCH_K = 4000
MAX_ANSWER_BYTES = 32 * 2**20  # of texts and metadata that one search or page reads
MAX_RECORD_BYTES = 4 * 2**20  # of JSON, as one comes; and of its metadata, however that came to be
MAX_TEXT_CHARS = 16_384
MAX_ID_CHARS = 128
MAX_METADATA_KEYS = 64
MAX_METADATA_KEY_CHARS = 64
MAX_METADATA_STRING_CHARS = 4096
MAX_METADATA_LIST = 64
MAX_INTEGER = 2**53 - 1  # what a JSON number carries exactly in every language (RFC 8259, section 6)
MAX_NUMBERS = 2**22  # of the vectors that are made of texts at once: a thousand of the longest
MAX_NAME_CHARS = 63
COLLECTION_NAME = rf"^[a-z0-9][a-z0-9_-]{{0,{MAX_NAME_CHARS - 1}}}$"


class EngineName(Word):
    """What a collection may be kept in."""

    QDRANT = "qdrant"
    CHROMA = "chroma"
    FAISS = "faiss"

    @property
    def component(self) -> str:
        """The name by which health checks and errors call it."""
        return "chromadb" if self is EngineName.CHROMA else self.value


class Metric(Word):
    """How near two vectors are; a higher score is nearer under each of them.

    cosine: the cosine, -1 to 1. dot: the inner product. l2: the Euclidean distance, negated.
    """

    COSINE = "cosine"
    DOT = "dot"
    L2 = "l2"


class CollectionStatus(Word):
    """`creating` and `deleting` say that the engine has not confirmed yet; repeating the request finishes the work.

    `filling` is the target of a copy until that ends: it is listed, and serves for nothing but to be deleted.
    """

    CREATING = "creating"
    FILLING = "filling"
    READY = "ready"
    DELETING = "deleting"


class SearchMode(Word):
    """How a query finds records."""

    DENSE = "dense"
    KEYWORD = "keyword"
    HYBRID = "hybrid"


DENSE_ONLY = (SearchMode.DENSE,)
ALL_MODES = tuple(SearchMode)


class Op(Word):  # what a leaf of a filter asks; a docstring would stand in the OpenAPI document
    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NIN = "nin"
    EXISTS = "exists"


@dataclass(frozen=True, slots=True)
class Collection:
    """A tenant's collection. Engines know it by `id`, which is never used twice; people know it by `name`."""

    id: str
    tenant_id: str
    name: str
    engine: EngineName
    dimension: int
    metric: Metric
    created_at: datetime
    status: CollectionStatus = CollectionStatus.CREATING
    model: str | None = None
    """What its texts were embedded with; None while it holds none, and where that was not written down yet."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A tenant's other name for a collection; `version` is a new one after each switch, and never used twice."""

    tenant_id: str
    name: str
    collection: str
    """The name of the one it points to."""
    version: str
    created_at: datetime
    updated_at: datetime


class AliasRefused(Word):
    """Why an alias does not point where it was to."""

    NAME_TAKEN = "name_taken"  # by a collection
    TARGET_GONE = "target_gone"  # or not ready
    CHANGED = "changed"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Record:
    """One stored item. Under cosine the vector is kept at unit length."""

    id: str
    vector: Vector
    text: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text's vector, and how many tokens the model read for it."""

    vector: Vector
    tokens: int


@dataclass(frozen=True, slots=True)
class Match:
    """One search result; a higher score is better whatever the metric."""

    id: str
    score: float
    text: str | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do here, as data."""

    backend: str
    modes: Sequence[SearchMode]
    exact: bool
    exact_on_request: bool
    exact_up_to: int | None = None
    """Among so many records that meet the filter a search that is not exact is; None where it may always miss some."""
    metrics: Sequence[Metric] = tuple(Metric)
    max_dimension: int = MAX_DIMENSION


@dataclass(frozen=True, slots=True)
class Blob:
    """Some bytes that are kept under a path."""

    path: str
    bytes: int
    modified_at: datetime


def ranked(matches: Sequence[Match]) -> list[Match]:
    """Best first, ties by id: engines leave ties in no order, and in another one at each call."""
    return sorted(matches, key=lambda match: (-match.score, match.id))


def comparable(score: float) -> float:
    """`score` to six significant digits: what float32 sums agree on, so equal records tie on every engine."""
    return float(f"{score:.6g}") + 0.0  # + 0.0 turns -0.0 into 0.0
