"""What has to be written however long PostgreSQL is away."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from services.tasks.worker.repository import WorkRepository
from shared.errors import Unavailable
from shared.messages import RetryLater
from shared.postgres import Database

_log = logging.getLogger("tasks.worker")
_STORE_SECONDS: Final = 600.0  # how long a message is held while PostgreSQL is away
_CLOSING_SECONDS: Final = 5.0  # the same while this worker shuts down
T = TypeVar("T")


class Outages:
    """Waits for the end of each, until this worker is closing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_closing = False

    async def through(self, statement: Callable[[WorkRepository], Awaitable[T]]) -> T:
        """The statement's answer, committed. Raises RetryLater in the end."""
        began = time.monotonic()
        while True:
            try:
                async with self._database.transaction() as session:
                    return await statement(WorkRepository(session))
            except Unavailable as error:
                patience = _CLOSING_SECONDS if self.is_closing else _STORE_SECONDS
                if time.monotonic() - began > patience:
                    raise RetryLater from error
                _log.warning("waiting for the database", extra={"fields": {"detail": error.detail}})
                await asyncio.sleep(random.uniform(0.2, 1.0))
