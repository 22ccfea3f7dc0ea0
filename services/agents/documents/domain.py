"""What a document of an agent holds; ids stay at home, so relations are by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.agents.domain import Agent, name_key
from services.agents.relations.domain import Direction, Relation, RelationType
from shared.schemas import Scalar

FORMAT: Final = "sutazai.agent"
FORMAT_VERSION: Final = 2
"""Since 2 an agent has `history`; a document of 1 has an agent that cuts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRelation:
    """A relation to whatever agent has the name."""

    type: RelationType
    direction: Direction
    agent: str
    weight: float
    metadata: Mapping[str, Scalar]

    @classmethod
    def of(cls, relation: Relation) -> "NamedRelation":
        return cls(
            type=relation.type,
            direction=relation.direction,
            agent=relation.agent.name,
            weight=relation.weight,
            metadata=relation.metadata,
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from every other of the same agent."""
        return self.type, self.direction, name_key(self.agent)


@dataclass(frozen=True, slots=True)
class Exported:
    """An agent with all its relations."""

    agent: Agent
    relations: list[NamedRelation]


@dataclass(frozen=True, slots=True)
class Imported:
    """The agent that was made of a document, and those of its relations and tools that it does not have."""

    agent: Agent
    unresolved: list[NamedRelation]
    undefined_tools: list[str]
