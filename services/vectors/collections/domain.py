"""What is answered of collections."""

from dataclasses import dataclass

from services.vectors.domain import Collection


@dataclass(frozen=True, slots=True)
class Counted:
    """A collection and how many records it holds; None when its engine does not answer, or has lost it."""

    collection: Collection
    count: int | None
    is_lost: bool = False
