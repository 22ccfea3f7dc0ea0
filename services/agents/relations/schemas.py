"""Relations as callers write and read them."""

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from services.agents.domain import Scalar
from services.agents.relations.domain import Direction, RelationType
from services.agents.schemas import LARGEST_NUMBER, MetadataKey, scalar
from shared.schemas import Id, RequestModel, ResponseModel, UtcDatetime

_LONGEST_VALUE = 256


def _short(value: Any) -> Scalar:
    known = scalar(value)
    if isinstance(known, str) and len(known) > _LONGEST_VALUE:
        raise PydanticCustomError(
            "metadata_value", "must be a text of at most {longest} characters", {"longest": _LONGEST_VALUE}
        )
    return known


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
RelationMetadata = Annotated[
    dict[
        MetadataKey,
        Annotated[
            Scalar,
            PlainValidator(
                _short,
                json_schema_input_type=bool
                | Annotated[float, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
                | Annotated[str, Field(max_length=_LONGEST_VALUE)],
            ),
        ],
    ],
    Field(
        max_length=8,
        json_schema_extra={"additionalProperties": False},
        description="values of your own, given back as they are",
        examples=[{"since": "2026"}],
    ),
]


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
