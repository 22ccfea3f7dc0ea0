"""Hears from chat what becomes of runs, for the webhooks that want to know.

A message that comes again has the id that it had, and so has its event: a webhook has one delivery of an event.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Final
from uuid import UUID, uuid5

from aio_pika.abc import AbstractIncomingMessage
from pydantic import AwareDatetime, BaseModel, Field

from services.tasks.queues import RUN_EVENTS, Queues
from services.tasks.webhooks.claims import ClaimRepository
from shared.errors import Unavailable
from shared.messages import Connection, Consumer, RetryLater
from shared.postgres import Database
from shared.schemas import Text, rfc3339

_log = logging.getLogger("tasks.webhooks")
_PREFETCH = 8
_AGAIN_SECONDS = 1.0
_EVENTS: Final = UUID("5f6e3a52-0f0b-4d5c-9f1e-6d8a3c1b7e24")
_Name = Annotated[Text, Field(min_length=1, max_length=256)]


class RunHeard(BaseModel):
    """tasks' own copy of what chat tells: what it takes of it."""

    run_id: _Name
    conversation_id: _Name
    agent_id: _Name | None = None
    tenant_id: _Name
    user_id: _Name
    key_id: _Name | None = None
    status: _Name
    code: _Name | None = None
    door: _Name = "chat"
    """By which it came; a chat of an earlier release does not say so."""
    model: _Name | None = None
    finished_at: AwareDatetime | None = None
    occurred_at: AwareDatetime

    @property
    def data(self) -> dict[str, str | None]:
        """What receivers are told: ids and words, nothing that was said."""
        return {
            "run_id": self.run_id,
            "conversation_id": self.conversation_id,
            "agent_id": self.agent_id,
            "user_id": self.user_id,
            "status": self.status,
            "error_code": self.code,
            "door": self.door,
            "model": self.model,
            "finished_at": rfc3339(self.finished_at) if self.finished_at else None,
        }


_VERSION: Final = ".v1"


class RunConsumer:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Wait for no store any more: what is not written yet goes back to its queue."""
        self._stopping.set()

    async def hear(self, message: AbstractIncomingMessage) -> None:
        """Write its deliveries, however long the store is away, until `stop`.

        Raises RetryLater then, and ValueError for what chat would not tell.
        """
        heard = RunHeard.model_validate_json(message.body)
        if message.routing_key not in RUN_EVENTS or not message.message_id:
            raise ValueError(message.routing_key)
        type_ = message.routing_key.removesuffix(_VERSION)
        event_id = f"run_{uuid5(_EVENTS, message.message_id).hex}"
        while not self._stopping.is_set():  # and not back into its queue, which counts how often
            try:
                return await self._tell(event_id, type_, heard)
            except Unavailable as error:
                _log.warning("to be told again", extra={"fields": {"cause": error.detail}})
                with suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_SECONDS):
                        await self._stopping.wait()
        raise RetryLater

    async def _tell(self, event_id: str, type_: str, heard: RunHeard) -> None:
        async with self._database.transaction() as session:
            claims = ClaimRepository(session)
            await claims.tell(event_id, heard.tenant_id, heard.user_id, type_, heard.data, heard.occurred_at)


@asynccontextmanager
async def hearing_runs(connection: Connection, queues: Queues, database: Database) -> AsyncIterator[None]:
    """Hear while the block runs; workers share what there is."""
    runs = RunConsumer(database)
    consumer = Consumer(connection, queues.declare, queues.runs, runs.hear, prefetch=_PREFETCH)
    consumer.start()
    try:
        yield
    finally:
        runs.stop()
        await consumer.aclose()
