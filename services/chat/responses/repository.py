"""What is kept of responses with their runs."""

from typing import Any, Final

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.responses.errors import ResponseNotFound
from services.chat.responses.kept import Kept, kept_from
from services.chat.runs.events import Event
from services.chat.runs.log_scripts import FORGET_LOGS
from services.chat.runs.repository import RunRepository
from services.chat.storage import Keys
from shared.redis import redis_errors

_EVENTS_AT_ONCE: Final = 512


class ResponseRepository:
    """Every method raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis, runs: RunRepository) -> None:
        self._redis, self._runs = redis, runs

    async def get(self, owner: Owner, run_id: str) -> Kept:
        """Raises ResponseNotFound, also for a run that is no response, or one that is not to be stored."""
        with redis_errors():
            stored: Any = await self._redis.hget(Keys(owner).run(run_id), "kept")
        if stored is None:
            raise ResponseNotFound
        return kept_from(stored)

    async def events(self, owner: Owner, run_id: str) -> list[Event]:
        """All that its run has told so far: as much as one log may hold."""
        told = list[Event]()
        while some := await self._runs.read(owner, run_id, told[-1].number if told else 0, at_once=_EVENTS_AT_ONCE):
            told += some
        return told

    async def delete(self, owner: Owner, run_id: str, conversation_id: str) -> None:
        """Forget it and its run; a process that executes that finds it gone and ends."""
        keys = Keys(owner)
        names = [keys.run(run_id), keys.events(run_id), keys.hold(run_id), keys.lease(conversation_id)]
        with redis_errors():
            async with self._redis.pipeline() as pipeline:
                pipeline.delete(*names)
                pipeline.eval(FORGET_LOGS, 1, keys.run(run_id))
                await pipeline.execute()
