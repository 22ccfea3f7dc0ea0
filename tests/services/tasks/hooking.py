"""A receiver of webhooks as users run one, and webhooks as a user has them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from standardwebhooks.webhooks import Webhook as Verifier
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.identity import DEED_DONE
from shared.messages import EVENTS_EXCHANGE, Consumer, declare_events, open_connection
from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.agents.toolbox import serving
from tests.services.tasks.running import FAST, eventually

WEBHOOKS = "/api/v1/tasks/webhooks"
LOOPBACK = {"outbound_allow": "127.0.0.1"}
DELIVERING: dict[str, Any] = {
    **FAST,
    **LOOPBACK,
    "webhook_look_seconds": 0.1,
    "webhook_waits": [0.05, 0.05],
    "webhook_timeout_seconds": 60,  # a receiver that stands still for a while has not failed
    "republish_seconds": 0.5,
}
Answer = Callable[[Request], Awaitable[Response]]


@dataclass
class Arrived:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The body, as the library of receivers reads it. Raises its error for a signature that is none."""
        return Verifier(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """What has arrived, and what is answered: by path, or 204."""

    url: str = ""
    arrived: list[Arrived] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)

    async def hear(self, request: Request) -> Response:
        path = request.url.path
        self.arrived.append(Arrived(path, dict(request.headers), await request.body()))
        answer = self.answers.get(path)
        return await answer(request) if answer else Response(status_code=204)

    def at(self, path: str) -> list[Arrived]:
        return [one for one in self.arrived if one.path == path]

    async def have(self, path: str, count: int) -> list[Arrived]:
        """What has arrived there, once it is so much."""

        async def found() -> list[Arrived]:
            return self.at(path) if len(self.at(path)) >= count else []

        return list(await eventually(found))


def answering(status: int, text: str = "", **headers: str) -> Answer:
    async def answer(_: Request) -> Response:
        return Response(text, status, headers=headers)

    return answer


async def silent(_: Request) -> Response:
    await asyncio.Event().wait()
    return Response()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/{rest:path}", receiver.hear, methods=["POST"])])
    async with serving(app) as url:
        receiver.url = url
        yield receiver


@dataclass(frozen=True)
class Webhooks:
    """The API as one user sees it."""

    client: httpx.AsyncClient
    user: User

    async def call(self, method: str, path: str = "", **request: Any) -> httpx.Response:
        headers = self.user.headers | request.pop("headers", {})
        return await self.client.request(method, WEBHOOKS + path, headers=headers, **request)

    async def make(self, url: str, *events: str, **fields: Any) -> dict[str, Any]:
        answer = await self.call("POST", json={"url": url, "events": events or ["task.*"], **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def get(self, webhook: dict[str, Any]) -> dict[str, Any]:
        return dict((await self.call("GET", f"/{webhook['id']}")).raise_for_status().json())

    async def change(self, webhook: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return dict((await self.call("PATCH", f"/{webhook['id']}", json=fields)).raise_for_status().json())

    async def test(self, webhook: dict[str, Any]) -> dict[str, Any]:
        answer = await self.call("POST", f"/{webhook['id']}/test")
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def deliveries(self, webhook: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
        answer = await self.call("GET", f"/{webhook['id']}/deliveries", params={"limit": 100, **params})
        return list(answer.raise_for_status().json()["items"])

    async def delivery(self, delivery: dict[str, Any]) -> dict[str, Any]:
        path = f"/{delivery['webhook_id']}/deliveries/{delivery['id']}"
        return dict((await self.call("GET", path)).raise_for_status().json())

    async def over(self, delivery: dict[str, Any]) -> dict[str, Any]:
        """The delivery, once it is tried no more."""

        async def found() -> dict[str, Any]:
            read = await self.delivery(delivery)
            return read if read["status"] != "pending" else {}

        return dict(await eventually(found))

    async def disabled(self, webhook: dict[str, Any]) -> dict[str, Any]:
        """The webhook, once it is."""

        async def found() -> dict[str, Any]:
            read = await self.get(webhook)
            return {} if read["is_enabled"] else read

        return dict(await eventually(found))


@asynccontextmanager
async def deeds(rabbitmq_url: str) -> AsyncIterator[list[dict[str, Any]]]:
    """What is told to auth while the block runs."""
    told: list[dict[str, Any]] = []
    name = f"deeds-{new_id()}"
    listening = asyncio.Event()

    async def topology(channel: AbstractChannel) -> None:
        await declare_events(channel)
        queue = await channel.declare_queue(name, exclusive=True, auto_delete=True)
        await queue.bind(EVENTS_EXCHANGE, DEED_DONE)
        listening.set()

    async def hear(message: AbstractIncomingMessage) -> None:
        told.append(orjson.loads(message.body))

    async with open_connection(rabbitmq_url, "test hears") as connection:
        consumer = Consumer(connection, topology, name, hear, prefetch=50)
        consumer.start()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await listening.wait()
            yield told
        finally:
            await consumer.aclose()
