"""The surroundings of an agent, and how much of them one answer has."""

from dataclasses import dataclass
from typing import Final

from services.agents.relations.domain import RelationType

MOST_NODES: Final = 200
MOST_EDGES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Node:
    """An agent, and how many relations away it is."""

    id: str
    name: str
    capabilities: tuple[str, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation between two of the nodes."""

    type: RelationType
    from_id: str
    to_id: str
    weight: float


@dataclass(frozen=True, slots=True)
class Network:
    """Nodes by depth, then id, the agent itself first; edges from the inside out, then by their ends."""

    nodes: list[Node]
    edges: list[Edge]
    is_truncated: bool
    """Whether there is more within the depth than one answer has; what is missing is the farthest."""
