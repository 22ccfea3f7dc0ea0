"""A few of the database's connections for deliveries, so that what runs tasks always finds one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from shared.errors import Unavailable
from shared.postgres import Database

MOST: Final = 6
_PATIENCE_SECONDS: Final = 15.0


class Narrowed(Database):
    """The same database by the same connections, of which it takes at most `MOST` at once."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.engine)
        self._turns = asyncio.Semaphore(MOST)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """As the database's, when it is this one's turn. Raises Unavailable where that does not come."""
        async with self._turn(), super().session() as session:
            yield session

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[AsyncSession]:
        """As the database's, when it is this one's turn. Raises Unavailable where that does not come."""
        async with self._turn(), super().statements() as session:
            yield session

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._turns.acquire()
        except TimeoutError as error:
            raise Unavailable("postgres") from error
        try:
            yield
        finally:
            self._turns.release()
