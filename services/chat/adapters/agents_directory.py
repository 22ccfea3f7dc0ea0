"""Agents, as the agents service knows them."""

from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from services.chat.domain import Agent
from services.chat.errors import AgentNotFound
from shared.calls import ServiceClient
from shared.errors import Relayed, UpstreamFailed

_SUMMARISE = "summarise"
_PAGE: Final = 100
Shape = TypeVar("Shape", bound=BaseModel)


class _Agent(BaseModel):
    """This service's own copy of the shape: the members it uses, whatever else there is."""

    id: str
    name: str = ""
    created_at: datetime | None = None
    instructions: str
    model: str | None = None
    knowledge: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    history: str = "cut"

    def agent(self) -> Agent:
        knowledge, summarises = tuple(dict.fromkeys(self.knowledge)), self.history == _SUMMARISE
        return Agent(
            self.id, self.instructions, self.model, knowledge, self.tools, summarises, self.name, self.created_at
        )


class _Page(BaseModel):
    items: list[_Agent]
    next_cursor: str | None = None


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
        return (await self._read(_Agent, agent_id, f"/api/v1/agents/{agent_id}", token)).agent()

    async def find_named(self, name: str, *, token: str) -> Agent | None:
        try:
            found = await self._read(_Agent, name, f"/internal/agents?{urlencode({'name': name})}", token)
        except AgentNotFound:
            return None
        return found.agent() if found.name == name else None

    async def list_newest(self, most: int, *, token: str) -> tuple[list[Agent], bool]:
        agents, cursor = list[Agent](), ""
        while len(agents) < most:
            query = urlencode({"limit": min(_PAGE, most - len(agents))} | ({"cursor": cursor} if cursor else {}))
            page = await self._read(_Page, "", f"/api/v1/agents/list?{query}", token)
            agents += [one.agent() for one in page.items]
            cursor = page.next_cursor or ""
            if not cursor:
                break
        return agents, bool(cursor)

    async def delegates_of(self, agent_id: str, *, token: str) -> dict[str, str]:
        path = f"/api/v1/agents/{agent_id}/relations?types=delegates_to&direction=out&limit=100"
        relations = await self._read(_Relations, agent_id, path, token)
        return {relation.agent.name: relation.agent.id for relation in relations.items}

    async def _read(self, shape: type[Shape], agent: str, path: str, token: str) -> Shape:
        try:
            answer = await self._services.call(
                "agents", "GET", path, token=token, timeout_seconds=self._timeout_seconds
            )
            return shape.model_validate_json(answer.content)
        except Relayed as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise AgentNotFound(agent) from error
            raise
        except ValidationError as error:
            raise UpstreamFailed("agents gave an invalid answer.") from error
