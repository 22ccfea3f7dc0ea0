"""A lock for many readers or one writer, for what native code may read in parallel but not while it is changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ReadWriteLock:
    """Readers that come while a writer waits let it go first."""

    def __init__(self) -> None:
        self._writer = asyncio.Lock()
        self._readers = 0
        self._no_readers = asyncio.Event()
        self._no_readers.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        async with self._writer:
            self._readers += 1
            self._no_readers.clear()
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                self._no_readers.set()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        async with self._writer:
            await self._no_readers.wait()
            yield

    @property
    def idle(self) -> bool:
        """Whether nobody reads, writes or waits."""
        return not self._readers and not self._writer.locked()
