"""What auth hears: that something was done in another service, which becomes an entry of the audit log, once."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated

from aio_pika.abc import AbstractIncomingMessage
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import HeardMessage
from services.auth.trust.audit.actions import ELSEWHERE, OF_A_SERVICE, REFUSED_ELSEWHERE, Action
from services.auth.trust.audit.entries import Noted
from services.auth.trust.work import Works
from shared import telemetry
from shared.errors import Unavailable
from shared.identity import DEEDS_QUEUE, declare_deeds
from shared.messages import Consumer, RetryLater, open_connection

_log = logging.getLogger("auth.consumers")
_PREFETCH = 2  # entries are chained one by one; more would hold connections to wait for each other
_AGAIN_SECONDS = 1.0
_KEPT = timedelta(days=7)
_Name = Annotated[str, Field(min_length=1, max_length=256)]


class DeedHeard(BaseModel):
    """auth's own copy of `shared.identity.Deed`: what it takes of it."""

    action: Action
    actor: _Name | None
    tenant_id: _Name | None
    target: _Name | None
    source: _Name | None = None
    act: _Name | None = None
    key_id: _Name | None = None
    at: AwareDatetime
    details: Annotated[dict[_Name, bool | int | _Name], Field(max_length=8)] = {}
    times: Annotated[int, Field(ge=1, le=10**9)] = 1

    @property
    def is_ours_to_note(self) -> bool:
        """Whether a service may tell it: a refusal, also of nobody who is known; or what somebody did to something."""
        if self.action in OF_A_SERVICE:
            return bool(self.actor and self.tenant_id is None and self.target and self.times == 1)
        is_whole = self.actor and self.tenant_id and self.target and self.times == 1
        return self.action in REFUSED_ELSEWHERE or bool(self.action in ELSEWHERE and is_whole)

    @property
    def noted(self) -> Noted:
        """The entry, in the trace that the message came in."""
        by = {name: value for name, value in (("act", self.act), ("key_id", self.key_id)) if value}
        return Noted(
            action=self.action,
            actor=self.actor,
            tenant_id=self.tenant_id,
            target=self.target,
            source=self.source,
            trace_id=telemetry.current_trace_id(),
            details={**self.details, **by},
            at=self.at.astimezone(UTC),  # as it is read back, and the chain is over how it is written
            times=self.times,
        )


class HeardRepository:
    """Which messages had their effect."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def is_new(self, message_id: str) -> bool:
        """Whether it has had none; who has the same at this moment waits until the transaction ends."""
        added = insert(HeardMessage).values(id=message_id, heard_at=datetime.now(UTC)).on_conflict_do_nothing()
        return await self._session.scalar(added.returning(HeardMessage.id)) is not None

    async def delete_old(self) -> None:
        """Forget what nobody sends any more."""
        await self._session.execute(delete(HeardMessage).where(HeardMessage.heard_at < datetime.now(UTC) - _KEPT))


class DeedConsumer:
    def __init__(self, works: Works) -> None:
        self._works = works
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Wait for no store any more: what is not noted yet goes back to its queue."""
        self._stopping.set()

    async def hear(self, message: AbstractIncomingMessage) -> None:
        """Note it, however long the store is away, until `stop`.

        Raises RetryLater then, and ValueError for what no service of ours would tell.
        """
        heard = DeedHeard.model_validate_json(message.body)
        if not heard.is_ours_to_note or not message.message_id:
            raise ValueError(heard.action)
        while not self._stopping.is_set():  # and not back into its queue, which counts how often
            try:
                return await self._note(message.message_id, heard)
            except Unavailable as error:
                _log.warning("to be noted again", extra={"fields": {"cause": error.detail}})
                await self._pause()
        raise RetryLater

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_AGAIN_SECONDS):
                await self._stopping.wait()

    async def _note(self, message_id: str, heard: DeedHeard) -> None:
        async with self._works.begin() as work:
            if await HeardRepository(work.session).is_new(message_id):
                work.noted.append(heard.noted)


@asynccontextmanager
async def hearing(works: Works, rabbitmq_url: str) -> AsyncIterator[None]:
    """Hear while the block runs; replicas share what there is."""
    async with open_connection(rabbitmq_url, "auth consumer") as connection:
        deeds = DeedConsumer(works)
        consumer = Consumer(connection, declare_deeds, DEEDS_QUEUE, deeds.hear, prefetch=_PREFETCH)
        consumer.start()
        try:
            yield
        finally:
            deeds.stop()
            await consumer.aclose()
