"""What is answered of records; each names the collection as it was found."""

from dataclasses import dataclass

from services.vectors.domain import Collection


@dataclass(frozen=True, slots=True)
class Stored:
    """`ids` are those of the items, in their order; `stored` counts an id given twice once.

    `existing` are the ids that were there already, and whose records stayed as they were.
    """

    collection: Collection
    stored: int
    ids: list[str]
    existing: list[str]


@dataclass(frozen=True, slots=True)
class Deleted:
    collection: Collection
    deleted: int
