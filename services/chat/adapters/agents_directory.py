"""Agents, as the agents service knows them."""

from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from services.chat.domain import Agent
from services.chat.errors import AgentNotFound
from shared.calls import ServiceClient
from shared.errors import Relayed, UpstreamFailed

_SUMMARISE = "summarise"
Shape = TypeVar("Shape", bound=BaseModel)


class _Agent(BaseModel):
    """This service's own copy of the shape: the members it uses, whatever else there is."""

    id: str
    instructions: str
    model: str | None = None
    knowledge: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    history: str = "cut"


class _Named(BaseModel):
    id: str
    name: str


class _Relation(BaseModel):
    agent: _Named


class _Relations(BaseModel):
    items: list[_Relation]


class AgentsDirectory:
    """Asks the agents service with the caller's own rights."""

    def __init__(self, services: ServiceClient, timeout_seconds: float) -> None:
        self._services = services
        self._timeout_seconds = timeout_seconds

    async def get(self, agent_id: str, *, token: str) -> Agent:
        found = await self._read(_Agent, agent_id, "", token)
        knowledge = tuple(dict.fromkeys(found.knowledge))
        summarises = found.history == _SUMMARISE
        return Agent(found.id, found.instructions, found.model, knowledge, found.tools, summarises)

    async def delegates_of(self, agent_id: str, *, token: str) -> dict[str, str]:
        query = "/relations?types=delegates_to&direction=out&limit=100"
        relations = await self._read(_Relations, agent_id, query, token)
        return {relation.agent.name: relation.agent.id for relation in relations.items}

    async def _read(self, shape: type[Shape], agent_id: str, rest: str, token: str) -> Shape:
        path = f"/api/v1/agents/{agent_id}{rest}"
        try:
            answer = await self._services.call(
                "agents", "GET", path, token=token, timeout_seconds=self._timeout_seconds
            )
            return shape.model_validate_json(answer.content)
        except Relayed as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise AgentNotFound(agent_id) from error
            raise
        except ValidationError as error:
            raise UpstreamFailed("agents gave an invalid answer.") from error
