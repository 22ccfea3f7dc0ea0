"""Surroundings as callers see them."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from services.agents.network.domain import Network
from services.agents.relations.domain import RelationType
from shared.schemas import Id, ResponseModel

Depth = Annotated[int, Query(ge=1, le=5, description="how many relations away")]


class NodeRead(ResponseModel):
    """An agent."""

    id: Id
    name: str
    capabilities: list[str]
    depth: int = Field(description="how many relations away; the agent asked for is at 0")


class EdgeRead(ResponseModel):
    """A relation between two of the nodes; `shares_knowledge_with` leads both ways."""

    type: RelationType
    from_id: Id
    to_id: Id
    weight: float


class NetworkRead(ResponseModel):
    """The surroundings of an agent."""

    nodes: list[NodeRead] = Field(description="nearest first, then by id; 200 at most")
    edges: list[EdgeRead] = Field(description="innermost first; 1,000 at most")
    truncated: bool = Field(description="whether there is more within this depth: what is missing is the farthest")

    @classmethod
    def of(cls, network: Network) -> "NetworkRead":
        return cls(
            nodes=[NodeRead.model_validate(node) for node in network.nodes],
            edges=[EdgeRead.model_validate(edge) for edge in network.edges],
            truncated=network.is_truncated,
        )
