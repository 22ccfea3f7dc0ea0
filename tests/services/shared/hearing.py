"""Who listens to what services tell auth, beside auth."""

import asyncio
import secrets
import time
from typing import Any

import orjson
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from shared.identity import DEED_DONE, Caller, declare_deeds
from shared.messages import EVENTS_EXCHANGE, Connection, Consumer
from tests.fixtures.patience import PATIENCE_SECONDS

ADA = Caller(
    subject="ada",
    tenant_id="tenant",
    scopes=frozenset(),
    token_id="token",
    issued_at=0.0,
    expires_at=0.0,
    token="",
    actor="service:tasks",
    key_id="key",
)


class Heard:
    """What arrives, in a queue of its own beside auth's."""

    def __init__(self, connection: Connection, url: str) -> None:
        self.url = url
        self.bodies: list[dict[str, Any]] = []
        self.ids: list[str | None] = []
        self.is_bound = asyncio.Event()
        self._queue = f"test-{secrets.token_hex(4)}"
        self.consumer = Consumer(connection, self._topology, self._queue, self._handle, prefetch=10)

    async def _topology(self, channel: AbstractChannel) -> None:
        await declare_deeds(channel)
        queue = await channel.declare_queue(self._queue, exclusive=True, auto_delete=True)
        await queue.bind(EVENTS_EXCHANGE, DEED_DONE)
        self.is_bound.set()

    async def _handle(self, message: AbstractIncomingMessage) -> None:
        self.bodies.append(orjson.loads(message.body))
        self.ids.append(message.message_id)

    def targets(self) -> list[object]:
        return [body["target"] for body in self.bodies]

    async def until(self, target: str) -> None:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            if target in self.targets():
                return
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.05)
