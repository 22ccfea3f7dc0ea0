"""What an agent is and how it changes; knows neither the store nor HTTP."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.schemas import Scalar
from shared.words import Word

READ, WRITE = "agents:read", "agents:write"

KEPT_VERSIONS = 1_000
"""So many of an agent, the newest: what is kept, and deleted with it in one transaction, has a bound."""


class History(Word):
    """What an agent is told of the turns of a conversation that fit into its prompt no more."""

    CUT = "cut"
    SUMMARISE = "summarise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a version consists of. Lists hold no duplicates and keep the order they were given in."""

    name: str
    description: str | None
    instructions: str
    model: str | None
    capabilities: tuple[str, ...]
    knowledge: tuple[str, ...]
    tools: tuple[str, ...]
    history: History = History.CUT
    metadata: Mapping[str, Scalar]

    @property
    def content(self) -> dict[str, Any]:
        """Its fields by name, and none that a kind of it adds."""
        return {field.name: getattr(self, field.name) for field in fields(Content)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Content):
    """An agent as of one version."""

    id: str
    version: int
    created_at: datetime
    updated_at: datetime

    def revised(self, changes: Mapping[str, Any], at: datetime) -> "Agent":
        """The next version, with the fields in `changes` replaced; this very agent when they change nothing."""
        draft = replace(self, **changes)
        if draft == self and _types(draft.metadata) == _types(self.metadata):
            return self
        # Clocks of replicas differ a little; an agent is never updated before its last update.
        return replace(draft, version=self.version + 1, updated_at=max(at, self.updated_at))


def _types(metadata: Mapping[str, Scalar]) -> dict[str, type]:
    """Told apart because `1 == 1.0 == True` in Python, while callers see three values."""
    return {key: type(value) for key, value in metadata.items()}


def name_key(name: str) -> str:
    """What must be unique: the name without differences that readers do not see (case, width, spacing, joiners)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    visible = "".join(char for char in folded if unicodedata.category(char) != "Cf")
    return " ".join(visible.split()) or name


def reads_as_id(name: str) -> bool:
    """Whether `name` could be taken for an id, where either may stand."""
    try:
        UUID(name)
    except ValueError:
        return False
    return True
