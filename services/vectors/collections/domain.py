"""How collections are named, and what is answered of them."""

from dataclasses import dataclass

from services.vectors.domain import READ, WRITE, Collection


@dataclass(frozen=True, slots=True)
class Named:
    """How a request names a collection, by its own name or an alias of it, and the scope that it needs.

    The route has seen that the caller has the scope for the name; the collection of an alias is found with it only by
    who has it for the collection, too. Else whoever may switch an alias could open others' collections to its readers.
    """

    name: str
    scope: str

    @classmethod
    def to_read(cls, name: str) -> "Named":
        return cls(name, READ)

    @classmethod
    def to_write(cls, name: str) -> "Named":
        return cls(name, WRITE)


@dataclass(frozen=True, slots=True)
class Counted:
    """A collection and how many records it holds; None when its engine does not answer, or has lost it."""

    collection: Collection
    count: int | None
    is_lost: bool = False
