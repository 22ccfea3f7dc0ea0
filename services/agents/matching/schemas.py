"""What is asked of matching, and its answer."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from services.agents.matching.domain import Match, Matches
from services.agents.relations.schemas import AgentNameRead
from services.agents.schemas import Capability, unique
from shared.schemas import Id, RequestModel, ResponseModel

_UNIQUE_ITEMS: dict[str, Any] = {"uniqueItems": True}


class MatchRequest(RequestModel):
    """What is to be done, and who is asked first."""

    capabilities: Annotated[
        tuple[Capability, ...],
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra=_UNIQUE_ITEMS,
            description="one agent has to have all of them",
            examples=[["invoices", "email"]],
        ),
        AfterValidator(unique),
    ]
    start_id: Id | None = Field(default=None, description="only ways that begin at this agent")
    limit: Annotated[int, Field(ge=1, le=100, description="how many at most")] = 20


class MatchRead(ResponseModel):
    """A way to who can do it."""

    agent: AgentNameRead = Field(description="whom to ask: the first of the path")
    by: AgentNameRead = Field(description="who has all the capabilities: the last of the path")
    path: list[AgentNameRead] = Field(description="each delegates to the next; alone on it is who can do it themself")
    weight: float = Field(description="the product of the weights along the path; 1 for an agent's own skill")

    @classmethod
    def of(cls, match: Match) -> "MatchRead":
        path = [AgentNameRead.model_validate(agent) for agent in match.path]
        return cls(agent=path[0], by=path[-1], path=path, weight=match.weight)


class MatchesRead(ResponseModel):
    """Who can do it, the shortest path first, then the greatest weight."""

    items: list[MatchRead]
    truncated: bool = Field(description="whether there are more, or could be among agents that were not looked at")

    @classmethod
    def of(cls, matches: Matches) -> "MatchesRead":
        return cls(items=[MatchRead.of(match) for match in matches.items], truncated=matches.is_truncated)
