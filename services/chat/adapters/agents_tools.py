"""Tools of a tenant, as the agents service keeps and calls them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from services.chat.errors import AgentNotFound
from services.chat.tools.domain import RESULT_CHARS, Tool, ToolResult
from shared.calls import ServiceClient
from shared.errors import Relayed, UpstreamFailed

_BESIDES_SECONDS = 3.0  # what agents needs around the call itself, which it ends in time


class _Tool(BaseModel):
    """This service's own copy of the shape: the members it uses, whatever else there is."""

    name: str
    description: str
    parameters: dict[str, Any]
    needs_approval: bool = False
    timeout_seconds: float


class _Tools(BaseModel):
    tools: list[_Tool]


class _Result(BaseModel):
    content: str
    is_error: bool
    is_truncated: bool = False


class RemoteAgentTools:
    """Asks the agents service with the caller's own rights; secrets of a tool stay there."""

    def __init__(self, services: ServiceClient, timeout_seconds: float) -> None:
        self._services, self._timeout_seconds = services, timeout_seconds

    async def list_of(self, agent_id: str, *, token: str) -> list[Tool]:
        path = f"/internal/agents/{agent_id}/tools"
        try:
            answer = await self._services.call(
                "agents", "GET", path, token=token, timeout_seconds=self._timeout_seconds
            )
            found = _Tools.model_validate_json(answer.content).tools
        except Relayed as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise AgentNotFound(agent_id) from error
            raise
        except ValidationError as error:
            raise UpstreamFailed("agents gave an invalid answer.") from error
        return [
            Tool(tool.name, tool.description, tool.parameters, tool.needs_approval, tool.timeout_seconds)
            for tool in found
        ]

    async def call(
        self, agent_id: str, name: str, arguments: Mapping[str, Any], *, timeout_seconds: float, token: str
    ) -> ToolResult:
        path = f"/internal/agents/{agent_id}/tools/{quote(name, safe='')}/call"
        answer = await self._services.call(
            "agents",
            "POST",
            path,
            token=token,
            json={"arguments": arguments},
            timeout_seconds=timeout_seconds + _BESIDES_SECONDS,
        )
        try:
            result = _Result.model_validate_json(answer.content)
        except ValidationError as error:
            raise UpstreamFailed("agents gave an invalid answer.") from error
        is_truncated = result.is_truncated or len(result.content) > RESULT_CHARS
        return ToolResult(result.content[:RESULT_CHARS], result.is_error, is_truncated)
