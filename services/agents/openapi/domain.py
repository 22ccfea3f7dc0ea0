"""Where something stands in a document, and why a tool is not made of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from urllib.parse import unquote

MOST_OPERATIONS: Final = 20
"""Of which tools are made at once."""
MOST_REFERENCES: Final = 32
"""Follow each other until something stands there."""

_LONGEST_POINTER: Final = 512
_LONGEST_REFERENCE: Final = 1_024


class Inexpressible(Exception):
    """What a tool cannot say, or what is no OpenAPI; `pointer` is its place in the document."""

    def __init__(self, pointer: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer, self.code, self.detail = pointer, code, detail


@dataclass(frozen=True, slots=True)
class Document:
    """All of it, and what its references were found to lead to: each is looked up once."""

    root: Mapping[str, Any]
    found: dict[str, "Node"] = field(default_factory=dict)

    @property
    def top(self) -> "Node":
        """Where every pointer begins."""
        return Node(self.root, "", self)


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document, with its place in it; what is referred to has the place where it stands."""

    value: Any
    pointer: str
    document: Document

    def refuse(self, code: str, detail: str) -> NoReturn:
        """Raises Inexpressible, at this place."""
        raise Inexpressible(self.pointer[:_LONGEST_POINTER], code, detail)

    def child(self, name: str | int) -> "Node":
        """What stands below the name, with references followed; None as value where nothing does."""
        return self.below(name).resolved()

    def below(self, name: str | int) -> "Node":
        """What stands below the name, be it a reference; None as value where nothing does."""
        value = self.value
        if isinstance(value, list) and isinstance(name, int):
            found = value[name] if name < len(value) else None
        else:
            found = value.get(name) if isinstance(value, dict) else None
        return Node(found, f"{self.pointer}/{_escaped(str(name))}", self.document)

    def resolved(self) -> "Node":
        """This, or what it refers to. Raises Inexpressible for a reference to nothing, elsewhere, or in turns."""
        node = self
        for _ in range(MOST_REFERENCES):
            if node.reference is None:
                return node
            node = node.followed(node.reference)
        return self.refuse("reference_cycle", "The references lead nowhere.")

    @property
    def reference(self) -> str | None:
        """Which this is, if it is one."""
        reference = self.value.get("$ref") if isinstance(self.value, dict) else None
        return reference if isinstance(reference, str) else None

    def followed(self, reference: str) -> "Node":
        """What it leads to, which may be another. Raises Inexpressible."""
        if reference not in self.document.found:
            self.document.found[reference] = self._at(reference)
        return self.document.found[reference]

    def _at(self, reference: str) -> "Node":
        if len(reference) > _LONGEST_REFERENCE:
            self.refuse("reference_too_long", f"A reference has {_LONGEST_REFERENCE:,} characters at most.")
        if not reference.startswith("#/"):
            self.refuse("reference_elsewhere", "A reference leads into this document, as `#/…`.")
        found: Any = self.document.root
        for part in unquote(reference[2:]).split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                found = found[int(name)] if name.isdecimal() and len(name) < 9 and int(name) < len(found) else None
            else:
                found = found.get(name) if isinstance(found, dict) else None
            if found is None:
                self.refuse("reference_unknown", f"There is nothing at {reference[:200]}.")
        return Node(found, unquote(reference[1:]), self.document)

    def items(self) -> Iterator["Node"]:
        """Of a list, each with references followed; of anything else none."""
        yield from (self.child(at) for at in range(len(self.value) if isinstance(self.value, list) else 0))

    def members(self) -> Iterator[tuple[str, "Node"]]:
        """Of an object, each with references followed; of anything else none."""
        yield from ((name, self.child(name)) for name in (self.value if isinstance(self.value, dict) else ()))

    def text(self, name: str) -> str | None:
        """A member that is a text."""
        found = self.child(name).value
        return found if isinstance(found, str) else None

    def object(self) -> dict[str, Any]:
        """The value. Raises Inexpressible where it is no object."""
        if not isinstance(self.value, dict):
            self.refuse("document_invalid", "An object belongs here.")
        return self.value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
