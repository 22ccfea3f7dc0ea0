"""Versions as callers see them."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from services.agents.domain import History
from services.agents.versions.domain import Change
from shared.schemas import Id, ResponseModel, Scalar, UtcDatetime

_LARGEST = 2**31 - 1

VersionNumber = Annotated[int, Path(ge=1, le=_LARGEST, description="the number of a version", examples=[1])]
Against = Annotated[
    int | None, Query(ge=1, le=_LARGEST, description="the version to compare with; without it, the one before")
]


class VersionEntryRead(ResponseModel):
    """A version in the history of an agent."""

    version: int
    name: str
    created_at: UtcDatetime
    created_by: str | None = Field(description="the id of the user who made it")


class VersionRead(VersionEntryRead):
    """An agent as it was at this version."""

    agent_id: Id
    description: str | None
    instructions: str
    model: str | None
    capabilities: list[str]
    knowledge: list[str]
    tools: list[str]
    history: History
    metadata: dict[str, Scalar]


class ChangeRead(ResponseModel):
    """One place that differs. A list is one place; of metadata each key is."""

    pointer: str = Field(description="a JSON pointer into the agent", examples=["/capabilities", "/metadata/team"])
    before: Scalar | list[str] | None = Field(description="null is nothing")
    after: Scalar | list[str] | None
    added: list[str] | None = Field(
        description="of a list: what only the later one has; both are empty for a new order"
    )
    removed: list[str] | None = Field(description="of a list: what only the earlier one has")


class DiffRead(ResponseModel):
    """What changed between two versions of an agent, from the one compared with to the one asked for."""

    agent_id: Id
    version: int = Field(description="the one asked for: `after` is its")
    against: int = Field(description="the one compared with: `before` is its")
    changes: list[ChangeRead]

    @classmethod
    def of(cls, agent_id: str, version: int, against: int, changes: list[Change]) -> "DiffRead":
        read = [ChangeRead.model_validate(change) for change in changes]
        return cls(agent_id=agent_id, version=version, against=against, changes=read)
