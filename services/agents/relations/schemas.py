"""Relations as callers write and read them."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from services.agents.relations.domain import Direction, RelationType
from services.agents.schemas import MetadataKey, metadata
from shared.schemas import Id, RequestModel, ResponseModel, Scalar, UtcDatetime, scalar

Type = Annotated[RelationType, Path(description="what the first agent does to the second")]
Types = Annotated[
    list[RelationType] | None,
    Query(min_length=1, max_length=len(RelationType), description="only relations of these types"),
]
DirectionFilter = Annotated[
    Direction, Query(description="only relations that lead from the agent, or to it; `shares_knowledge_with` does both")
]
Weight = Annotated[
    float,
    Field(
        strict=True,
        ge=0.001,
        le=1000,
        description="of several ways of one length, the one with the greatest product of weights is preferred",
        examples=[1.0],
    ),
]
# Small, so that an agent with all its relations is one document (`services.agents.documents`).
RelationMetadata = Annotated[dict[MetadataKey, Annotated[Scalar, scalar(longest=256)]], metadata(8, {"since": "2026"})]


class RelationPut(RequestModel):
    """What a relation is to say; what is left out is as in a new one."""

    weight: Weight = 1.0
    metadata: RelationMetadata = {}


class AgentNameRead(ResponseModel):
    """An agent as others name it."""

    id: Id
    name: str


class RelationRead(ResponseModel):
    """A relation of an agent, as that one sees it."""

    type: RelationType
    direction: Direction = Field(description="whether it leads from the agent, to it, or both ways")
    agent: AgentNameRead = Field(description="the other one")
    weight: float
    metadata: dict[str, Scalar]
    created_at: UtcDatetime
    updated_at: UtcDatetime
