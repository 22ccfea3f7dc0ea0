"""Where in a JSON Schema other schemas stand, and what part of a value each of them is held against.

A name below `properties` or in an `enum` is no keyword, whatever it is called: only what stands where a schema may is
read as one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

Slot = tuple[str, str | int | None]
"""A part of a value: a member by its name or an element by its number; None is any that has no slot of its own."""
Node = Mapping[str, Any]

MEMBERS: Final[Slot] = ("member", None)
ELEMENTS: Final[Slot] = ("element", None)
_SINGLE: Final[Mapping[str, Slot | None]] = {
    "not": None,
    "if": None,
    "then": None,
    "else": None,
    "propertyNames": MEMBERS,
    "additionalProperties": MEMBERS,
    "unevaluatedProperties": MEMBERS,
    "items": ELEMENTS,
    "contains": ELEMENTS,
    "unevaluatedItems": ELEMENTS,
}
_BESIDE: Final = frozenset({"additionalProperties", "items"})  # not held against what the ones by name are
_LISTS: Final = ("allOf", "anyOf", "oneOf")
_MAPS: Final[Mapping[str, Slot | None]] = {
    "dependentSchemas": None,
    "dependencies": None,
    "patternProperties": MEMBERS,
}
_UNUSED: Final = ("$defs", "definitions")


@dataclass(frozen=True, slots=True)
class Edge:
    """From a schema to one that it uses: on the same value (`slot` is None) or on a part of it.

    `is_rest` is for a slot None that leaves out the parts with a slot of their own.
    """

    node: Node
    slot: Slot | None = None
    is_rest: bool = False


def edges(node: Node, root: Node) -> Iterator[Edge]:
    """What `node` uses. Raises LookupError for a reference to nothing."""
    for keyword, slot in _SINGLE.items():
        if isinstance(found := node.get(keyword), Mapping):
            yield Edge(found, slot, keyword in _BESIDE)
    for keyword in _LISTS:
        yield from (Edge(found) for found in _list(node.get(keyword)))
    for keyword, slot in _MAPS.items():
        yield from (Edge(found, slot) for _, found in _map(node.get(keyword)))
    yield from (Edge(found, ("member", name)) for name, found in _map(node.get("properties")))
    yield from (Edge(found, ("element", at)) for at, found in enumerate(_list(node.get("prefixItems"))))
    if isinstance(target := _target(node.get("$ref"), root), Mapping):
        yield Edge(target)


def unused(node: Node) -> Iterator[Node]:
    """Schemas that stand in `node` for others to refer to."""
    for keyword in _UNUSED:
        yield from (found for _, found in _map(node.get(keyword)))
    if isinstance(found := node.get("contentSchema"), Mapping):
        yield found


def _list(found: Any) -> Iterator[Node]:
    yield from (one if isinstance(one, Mapping) else {} for one in (found if isinstance(found, list) else ()))


def _map(found: Any) -> Iterator[tuple[str, Node]]:
    pairs = found.items() if isinstance(found, Mapping) else ()
    yield from ((name, one) for name, one in pairs if isinstance(one, Mapping))


def _target(reference: Any, root: Node) -> Any:
    """What a JSON pointer of the form `#/…` leads to."""
    if not isinstance(reference, str):
        return None
    found: Any = root
    for part in unquote(reference[1:]).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list):
            found = dict(enumerate(found)).get(int(name) if name.isdecimal() and len(name) < 9 else -1)
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
        if found is None:
            raise LookupError(name)
    return found
