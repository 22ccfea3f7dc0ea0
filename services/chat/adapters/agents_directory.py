"""Agents, as the agents service knows them."""

from http import HTTPStatus

from pydantic import BaseModel, ValidationError

from services.chat.domain import Agent
from services.chat.errors import AgentNotFound
from shared.calls import ServiceClient
from shared.errors import Relayed, UpstreamFailed


class _Agent(BaseModel):
    """This service's own copy of the shape: the members it uses, whatever else there is."""

    id: str
    instructions: str
    model: str | None = None
    knowledge: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


class AgentsDirectory:
    """Asks the agents service with the caller's own rights."""

    def __init__(self, services: ServiceClient, timeout_seconds: float) -> None:
        self._services = services
        self._timeout_seconds = timeout_seconds

    async def get(self, agent_id: str, *, token: str) -> Agent:
        try:
            answer = await self._services.call(
                "agents", "GET", f"/api/v1/agents/{agent_id}", token=token, timeout_seconds=self._timeout_seconds
            )
            found = _Agent.model_validate_json(answer.content)
        except Relayed as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise AgentNotFound(agent_id) from error
            raise
        except ValidationError as error:
            raise UpstreamFailed("agents gave an invalid answer.") from error
        knowledge = tuple(dict.fromkeys(found.knowledge))
        return Agent(found.id, found.instructions, found.model, knowledge, found.tools)
