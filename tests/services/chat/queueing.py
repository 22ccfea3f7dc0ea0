"""A conversation that is busy, and messages that wait in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.services.chat.client import ServerEvent, events_of
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"
RUNS = "/api/v1/chat/runs"
CONVERSATIONS = "/api/v1/chat/conversations"
Body = dict[str, Any]


class Conversation:
    """One that is busy: `first` is being answered."""

    def __init__(self, client: httpx.AsyncClient, body: Body, first: ServerEvent, told: AsyncIterator[Any]) -> None:
        self.client, self.first, self._told = client, first, told
        self.id: str = first.data["conversation_id"]
        self._body = body | {"conversation_id": self.id, "on_busy": "enqueue"}

    def message(self, content: str, **members: Any) -> Body:
        return self._body | {"content": content} | members

    async def rest(self) -> list[ServerEvent]:
        return [event async for event in self._told]

    async def contents(self) -> list[str]:
        page = await self.client.get(f"{CONVERSATIONS}/{self.id}/messages", params={"limit": 100})
        return [message["content"] for message in page.json()["items"] if message["role"] == "user"]

    async def state_of(self, run_id: str) -> str:
        return str((await self.client.get(f"{RUNS}/{run_id}")).json()["state"])


@asynccontextmanager
async def busy(client: httpx.AsyncClient, agent_id: str, model: ModelServer) -> AsyncIterator[Conversation]:
    model.go_on.clear()
    model.is_generating.clear()  # as it may be for another already
    body: Body = {"agent_id": agent_id, "content": "one", "stream": True}
    async with client.stream("POST", MESSAGE, json=body) as response:
        told = events_of(response)
        first = await anext(told)
        await model.is_generating.wait()
        yield Conversation(client, body, first, told)


@asynccontextmanager
async def waiting(
    client: httpx.AsyncClient, body: Body, headers: dict[str, str] | None = None
) -> AsyncIterator[tuple[ServerEvent, AsyncIterator[ServerEvent]]]:
    """`run.queued` of a message, and what comes after it."""
    async with client.stream("POST", MESSAGE, json=body, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        told = events_of(response)
        yield await anext(told), told
