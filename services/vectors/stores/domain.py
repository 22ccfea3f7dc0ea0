"""A vector store is a collection and what is told of it beside; a file that is attached is ingested into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from services.vectors.domain import Collection, CollectionStatus
from shared.words import Word

MAX_ATTACHED: Final = 10_000
"""Files of one store."""
MAX_BATCH_FILES: Final = 500
"""That one request attaches."""
UNSUBMITTED_SECONDS: Final = 120.0
"""Longer than a request lasts: whose task nobody knows by then was never handed over."""
MAX_DAYS: Final = 365
"""After which a store expires that nobody uses."""
KEPT_EXPIRED: Final = timedelta(days=1)
"""A store that was found to have expired, until it is deleted."""
RESERVED: Final = frozenset({"document_id", "chunk", "headings", "page", "digest"})
"""Members of a record's metadata that ingestion sets; no attribute has their names. A test holds both together."""


class AttachmentStatus(Word):
    """How far the ingestion of a file is; all but the first are final."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttachRefused(Word):
    """Why files were not attached."""

    GONE = "gone"  # the collection
    TOO_MANY = "too_many"
    UNDER_WAY = "under_way"  # one of them is being ingested otherwise, or changed


class ChangeRefused(Word):
    """Why nobody may change an attached file now."""

    GONE = "gone"  # it is not attached as it was
    UNDER_WAY = "under_way"  # it is being ingested, or changed by another


@dataclass(frozen=True, slots=True)
class About:
    """What is told of a store beside what its collection is."""

    title: str | None = None
    description: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expiry:
    """When a store goes: so many days after it was used last."""

    days: int
    active_at: datetime
    by: str
    """The user who said so."""

    @property
    def at(self) -> datetime:
        return self.active_at + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class Expired:
    """A collection whose store's time is over, and the user who set that."""

    collection: Collection
    by: str


@dataclass(frozen=True, slots=True)
class Counts:
    """The files of a store or a batch by their status, and the bytes of those that are ingested."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    bytes: int = 0

    @property
    def total(self) -> int:
        return self.in_progress + self.completed + self.failed + self.cancelled


@dataclass(frozen=True, slots=True)
class Store:
    """A collection as OpenAI's clients see it."""

    collection: Collection
    about: About | None
    """None of a collection that was made by another door, and of which nobody has told anything."""
    counts: Counts
    expiry: Expiry | None = None
    """None of one that stays until it is deleted."""

    def is_over(self, now: datetime) -> bool:
        return self.expiry is not None and self.expiry.at <= now

    @property
    def is_ready(self) -> bool:
        return self.collection.status is CollectionStatus.READY and not self.counts.in_progress


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a file is cut; None is as ingestion does unless told."""

    most_tokens: int | None = None
    overlap_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a file could not be ingested, as its task told."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class FenceMark:
    """As what an ingestion writes: of which file, and as which version that is attached."""

    file_id: str
    version: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in a store. The collection holds its chunks, whose `document_id` is the file's id."""

    file_id: str
    file_name: str
    bytes: int
    attributes: Mapping[str, Any]
    chunking: Chunking
    version: str
    """Another each time the file is attached. Its ingestion writes as this one, and only while it is in progress."""
    created_at: datetime
    batch_id: str | None = None
    task_id: str | None = None
    """Of the ingestion; None until it is known to be submitted."""
    status: AttachmentStatus = AttachmentStatus.IN_PROGRESS
    failure: Failure | None = None

    @property
    def mark(self) -> FenceMark:
        return FenceMark(self.file_id, self.version)

    def is_alike(self, other: "Attachment") -> bool:
        """Whether both would be ingested to the same records; a number is never a boolean."""
        return self.chunking == other.chunking and are_equal(self.attributes, other.attributes)


def are_equal(some: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Of attributes. Python takes 1 for true, and engines do not."""
    return _told_apart(some) == _told_apart(others)


def _told_apart(attributes: Mapping[str, Any]) -> dict[str, tuple[bool, Any]]:
    return {name: (isinstance(value, bool), value) for name, value in attributes.items()}


@dataclass(frozen=True, slots=True)
class Attached:
    """What became of files that were to be attached: all of them are, or none."""

    refused: AttachRefused | None = None
    file_id: str | None = None
    """Of the one that is under way."""
    anew: Sequence[Attachment] = ()
    """Those whose ingestion is to be submitted, by whoever is told this and by nobody else meanwhile."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the ingestion of a file that was attached as `version`; with `IN_PROGRESS` what its task is."""

    file_id: str
    version: str
    task_id: str | None
    status: AttachmentStatus
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a list is asked for: up to `limit` behind `after`, or before `before`, which are in the list."""

    limit: int
    newest_first: bool = True
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The files that one request attached, as far as no later one attached them anew."""

    created_at: datetime
    counts: Counts
