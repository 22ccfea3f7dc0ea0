"""What a relation between two agents is; knows neither the store nor HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.schemas import Scalar
from shared.words import Word

MOST_RELATIONS: Final = 500
"""Of one agent, in both directions: what is read of an agent's surroundings has a bound at every step."""


class RelationType(Word):
    """What the first agent does to the second; sharing has no first."""

    DELEGATES_TO = "delegates_to"
    REPORTS_TO = "reports_to"
    SHARES_KNOWLEDGE_WITH = "shares_knowledge_with"

    @property
    def is_symmetric(self) -> bool:
        """Whether it is one relation from whichever side it is named."""
        return self is RelationType.SHARES_KNOWLEDGE_WITH


class Direction(Word):
    """Of a relation, as one of its agents sees it; or of those that are asked for."""

    OUT = "out"
    IN = "in"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class AgentName:
    """An agent as others name it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Ends:
    """A relation, by its type and the agents it is kept from and to: each relation has one such name."""

    type: RelationType
    start_id: str
    end_id: str

    @classmethod
    def of(cls, agent_id: str, type: RelationType, other_id: str) -> "Ends":
        """A symmetric one is kept from the smaller id, whoever names it."""
        if type.is_symmetric and other_id < agent_id:
            return cls(type, other_id, agent_id)
        return cls(type, agent_id, other_id)


@dataclass(frozen=True, slots=True)
class Said:
    """What a relation is to say from now on."""

    ends: Ends
    weight: float
    metadata: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A relation as one of its agents sees it; `agent` is the other one."""

    type: RelationType
    direction: Direction
    agent: AgentName
    weight: float
    metadata: Mapping[str, Scalar]
    version: str
    """Another after every change."""
    created_at: datetime
    updated_at: datetime

    @property
    def position(self) -> str:
        """Its place in lists: by type, then by the other agent's id."""
        return f"{self.type} {self.agent.id} {self.direction}"

    @property
    def is_as_made(self) -> bool:
        """Whether nobody changed it since."""
        return self.created_at == self.updated_at

    def says(self, weight: float, metadata: Mapping[str, Scalar]) -> bool:
        """Whether it is just this already; `1 == 1.0 == True` in Python, while callers see three values."""
        return (self.weight, _typed(self.metadata)) == (weight, _typed(metadata))


@dataclass(frozen=True, slots=True)
class Put:
    """A relation as it is now; whether it was made just now."""

    relation: Relation
    is_new: bool


def _typed(metadata: Mapping[str, Scalar]) -> dict[str, tuple[type, Scalar]]:
    return {key: (type(value), value) for key, value in metadata.items()}
