"""How much work a schema can be, told before it is held against anything.

References make a few lines into a tree of any size: twenty schemas, each of which uses the next one twice, are a
million on one value. And a schema that uses itself twice on the same part of a value doubles with each of its levels.
So the tree is measured along the references, each schema once, and a second recursion on the same part is refused.
What is left visits each part of a value at most `cost` times.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from sys import maxsize
from typing import Any, Final, NamedTuple

from shared.json_schema.places import ELEMENTS, MEMBERS, Edge, Node, Slot, edges, unused

MOST_COST: Final = 4_000
_MOST_LEVELS: Final = 128
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
# Of these each name or option may be a complaint of its own, or is repeated by one; `not` is repeated whole.
_REPEATED: Final = ("const", "dependencies", "dependentRequired", "enum", "not", "pattern", "required")
# Of these nobody complains but the schemas within them.
_SILENT: Final = frozenset(
    {
        *("$comment", "$defs", "$ref", "$schema", "default", "definitions", "deprecated", "description", "examples"),
        *("allOf", "else", "if", "items", "prefixItems", "properties", "readOnly", "then", "title", "writeOnly"),
    }
)
_NOT_TAKEN: Final = ("$id", "$vocabulary", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef")
_Weights = dict[Slot, int]
_NOWHERE: Final[_Weights] = {MEMBERS: 0, ELEMENTS: 0}


class OutOfBounds(Exception):
    """A schema that is not taken; the text says why."""


class Work(NamedTuple):
    """How often each part of a value is visited at most, of how many complaints about it that is, and the patterns."""

    cost: int
    complaints: int
    patterns: int


def work_of(root: Node) -> Work:
    """What holding it against a value can be. Raises OutOfBounds."""
    graph = _Graph(root)
    costs = _Costs(graph, lambda _: 1)
    for node in graph.nodes.values():  # a recursion is entered by one of its schemas, and leads to the others
        costs.of(node)
    cost = costs.of(root)
    if cost > MOST_COST:
        raise OutOfBounds(f"the schema with all it refers to is too large: a value would be visited {MOST_COST} times")
    return Work(cost, _Costs(graph, _complaints_of).of(root), sum(map(_patterns_of, graph.nodes.values())))


def _complaints_of(node: Node) -> int:
    """Of one visit, at most."""
    repeated = sum(parts_of(node[keyword], maxsize - 1) for keyword in _REPEATED if keyword in node)
    return 1 + len(node.keys() - _SILENT) + repeated


def _patterns_of(node: Node) -> int:
    by_pattern = node.get("patternProperties")
    return ("pattern" in node) + (len(by_pattern) if isinstance(by_pattern, Mapping) else 0)


class _Graph:
    """The schemas and what they use, with what of it is a recursion."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self.nodes: dict[int, Node] = {}
        self.edges: dict[int, list[Edge]] = {}
        self.group: dict[int, int] = {}
        """Schemas that use each other have the same one."""
        self.members: dict[int, list[int]] = {}
        self.is_endless: dict[int, bool] = {}
        """Whether it is part of a recursion, or leads to one."""
        self.is_recursive: set[int] = set()
        self._low: dict[int, int] = {}
        self._open: list[int] = []
        self._unused = [(root, 0)]
        while self._unused:
            node, level = self._unused.pop()
            if id(node) not in self._low:
                self._visit(node, level)

    def _visit(self, node: Node, level: int) -> None:
        """Tarjan's strongly connected components."""
        if level > _MOST_LEVELS:
            raise OutOfBounds(f"the schema nests deeper than {_MOST_LEVELS} levels")
        at = id(node)
        number = self._low[at] = len(self._low)
        self.nodes[at], used = node, self._edges(node)
        self.edges[at] = used
        self._open.append(at)
        for edge in used:
            below = id(edge.node)
            if below not in self._low:
                self._visit(edge.node, level + 1)
            if below not in self.group:
                self._low[at] = min(self._low[at], self._low[below])
        if self._low[at] == number:
            self._close(at)
        self._unused += [(kept, level + 1) for kept in unused(node)]  # no part of this recursion, unless referred to

    def _close(self, first: int) -> None:
        members = self._open[self._open.index(first) :]
        del self._open[-len(members) :]
        self.group.update(dict.fromkeys(members, first))
        self.members[first] = members
        targets = [(at, id(edge.node)) for at in members for edge in self.edges[at]]
        if any(self.group[below] == first for _, below in targets):
            self.is_recursive.update(members)
        is_endless = first in self.is_recursive or any(self.is_endless[below] for _, below in targets)
        self.is_endless.update(dict.fromkeys(members, is_endless))

    def _edges(self, node: Node) -> list[Edge]:
        if node.get("$schema", _DIALECT) not in (_DIALECT, _DIALECT + "#"):
            raise OutOfBounds(f"$schema has to be {_DIALECT}, or to be left out")
        if taken := next((name for name in _NOT_TAKEN if name in node), None):
            raise OutOfBounds(f"{taken} is not taken: a schema stands for itself, and refers by `#/…` only")
        reference = node.get("$ref", "#")
        if reference != "#" and not str(reference).startswith("#/"):
            raise OutOfBounds("$ref may only refer to a place in the schema itself, by `#/…`")
        try:
            return list(edges(node, self._root))
        except LookupError as error:
            raise OutOfBounds(f"$ref leads to nothing: {reference}"[:300]) from error


class _Costs:
    """What each schema costs on one value, along the schemas that it uses on the same one; `of_one` is itself alone."""

    def __init__(self, graph: _Graph, of_one: Callable[[Node], int]) -> None:
        self._graph, self._of_one = graph, of_one
        self._done: dict[int, tuple[int, _Weights, _Weights]] = {}
        self._under_way: set[int] = set()
        self._groups: dict[int, int] = {}

    def of(self, node: Node) -> int:
        """Visits of one part of a value, be it this one or one within. Raises OutOfBounds."""
        group = self._graph.group[id(node)]
        if group not in self._groups:
            self._groups[group] = max(self._one(self._graph.nodes[at]) for at in self._graph.members[group])
        return self._groups[group]

    def _one(self, node: Node) -> int:
        own, parts, _ = self._measured(node)
        return own + max(parts.values())

    def _measured(self, node: Node) -> tuple[int, _Weights, _Weights]:
        """Visits of the value itself, then of each of its parts: all of them, and those that recursions make."""
        at = id(node)
        if at in self._done:
            return self._done[at]
        if at in self._under_way:
            raise OutOfBounds("a schema refers to itself on the same value")
        self._under_way.add(at)
        used = self._graph.edges[at]
        own, parts, again = (
            self._of_one(node),
            self._parts(at, used),
            _laid([(edge, self._is_endless(edge)) for edge in used]),
        )
        for edge in used:
            if edge.slot is None:
                more_own, more_parts, more_again = self._measured(edge.node)
                more_own = self._entered(at, edge.node, more_own)
                own, parts, again = own + more_own, _sum(parts, more_parts), _sum(again, more_again)
        if at in self._graph.is_recursive and max(again.values()) > 1:
            raise OutOfBounds("a schema refers to itself more than once on the same part of a value")
        self._under_way.discard(at)
        self._done[at] = own, parts, again
        return self._done[at]

    def _entered(self, at: int, node: Node, own: int) -> int:
        """A recursion that begins here may be as dear on each part of the value as the dearest of its schemas."""
        is_inside = self._graph.group[id(node)] == self._graph.group[at]
        return own if is_inside or id(node) not in self._graph.is_recursive else self.of(node)

    def _parts(self, at: int, used: list[Edge]) -> _Weights:
        """A recursion has been counted where it began."""
        group = self._graph.group
        below = [edge for edge in used if edge.slot is not None]
        return _laid([(edge, 0 if group[id(edge.node)] == group[at] else self.of(edge.node)) for edge in below])

    def _is_endless(self, edge: Edge) -> int:
        return int(edge.slot is not None and self._graph.is_endless[id(edge.node)])


def _laid(weighed: list[tuple[Edge, int]]) -> _Weights:
    """The weights of one schema's own edges by the parts that they go to."""
    named: _Weights = defaultdict(int)
    every, rest = dict(_NOWHERE), dict(_NOWHERE)
    for edge, weight in weighed:
        if edge.slot is None:
            continue
        if edge.slot[1] is not None:
            named[edge.slot] += weight
        else:
            (rest if edge.is_rest else every)[edge.slot] += weight
    laid = {slot: weight + every[_any_of(slot)] for slot, weight in named.items()}
    return laid | {slot: max(every[slot], every[slot] + rest[slot]) for slot in _NOWHERE}


def _sum(one: _Weights, other: _Weights) -> _Weights:
    return {slot: _at(one, slot) + _at(other, slot) for slot in one | other}


def _at(weights: _Weights, slot: Slot) -> int:
    return weights.get(slot, weights[_any_of(slot)])


def _any_of(slot: Slot) -> Slot:
    return (slot[0], None)


def parts_of(value: Any, most_levels: int) -> int:
    """How many parts `value` has, long texts counting as several. Raises OutOfBounds when it nests deeper."""
    level, count = [value], 0
    for _ in range(most_levels + 1):
        if not level:
            return count
        count += sum(1 + len(one) // 64 if isinstance(one, str) else 1 for one in level)
        level = [part for one in level for part in _within(one)]
    raise OutOfBounds(f"it nests deeper than {most_levels} levels")


def _within(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value
