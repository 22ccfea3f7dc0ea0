"""Wakes those who follow when something has happened that concerns them: one loop a process, however many follow.

It only says that there is something. Who is woken reads for themselves, so nothing is held for one who is slow; and one
who was not woken, since PostgreSQL was away, reads with the next heartbeat.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from services.tasks.streams.repository import Concerned, EventRepository
from shared.health import Health
from shared.loops import in_background, keep
from shared.postgres import Database

_log = logging.getLogger("tasks.streams")
_MOST = 5000  # to be woken by one look; of more, everybody is
_DRAIN_CHECK_SECONDS = 0.25
_PAUSE_SECONDS = 1.0  # between two times that one who follows all tasks is woken: each time is a statement


class TenantNews:
    """What happened in a tenant since the look before: to which tasks, and of whom."""

    __slots__ = ("task_ids", "user_ids")

    def __init__(self) -> None:
        self.task_ids: set[str] = set()
        self.user_ids: set[str] = set()


class Follower:
    """Waits for news of one task, of one user's tasks, or of a tenant's."""

    __slots__ = ("_rung", "_rung_at", "is_new", "is_told_later", "task_id", "tenant_id", "user_id")

    def __init__(self, tenant_id: str, user_id: str | None, task_id: str | None) -> None:
        self.tenant_id, self.user_id, self.task_id = tenant_id, user_id, task_id
        self.is_new = True
        self.is_told_later = False
        self._rung_at = float("-inf")
        self._rung = asyncio.Event()

    def arm(self) -> None:
        """What happens from now on ends the next `wait`."""
        self._rung.clear()

    def ring(self) -> None:
        self._rung.set()

    def tell(self, news: TenantNews, now: float) -> None:
        """Ring if it is concerned, or was before: who follows all tasks at most once in a while."""
        if self.task_id is not None:
            if self.task_id in news.task_ids:
                self.ring()
            return
        if not (self.is_told_later or (news.user_ids if self.user_id is None else self.user_id in news.user_ids)):
            return
        self.is_told_later = now < self._rung_at + _PAUSE_SECONDS
        if not self.is_told_later:
            self._rung_at = now
            self.ring()

    async def wait(self, seconds: float) -> bool:
        """Whether something may have happened, within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        return True


class News:
    """Who follows in this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followers: Final[defaultdict[str, set[Follower]]] = defaultdict(set)
        self._since: int | None = None
        self.is_closing = False
        """Whether this process is about to stop: who follows is to go on elsewhere."""

    def __len__(self) -> int:
        return sum(map(len, self._followers.values()))

    @contextmanager
    def following(self, tenant_id: str, user_id: str | None = None, task_id: str | None = None) -> Iterator[Follower]:
        """One who is woken as long as the block runs."""
        follower = Follower(tenant_id, user_id, task_id)
        self._followers[tenant_id].add(follower)
        try:
            yield follower
        finally:
            self._followers[tenant_id].remove(follower)
            if not self._followers[tenant_id]:
                del self._followers[tenant_id]

    async def look(self) -> None:
        """Wake whom something concerns that has happened since the look before. Raises Unavailable."""
        if not self._followers:
            self._since = None
            return
        tenants = list(self._followers)
        # What happened between their own reading and this look was before any look that knew of them.
        new = [one for those in self._followers.values() for one in those if one.is_new]
        async with self._database.statements() as session:
            events = EventRepository(session)
            horizon = await events.horizon()
            since = horizon if self._since is None else self._since
            concerned = []
            if since < horizon:
                concerned = await events.list_concerned(tenants, since=since, horizon=horizon, limit=_MOST)
        self._since = horizon
        for follower in new:
            follower.is_new = False
            follower.ring()
        self._wake(concerned)

    def _wake(self, concerned: list[Concerned]) -> None:
        if len(concerned) == _MOST:
            self.wake_all()
            return
        news: defaultdict[str, TenantNews] = defaultdict(TenantNews)
        for one in concerned:
            news[one.tenant_id].task_ids.add(one.task_id)
            news[one.tenant_id].user_ids.add(one.user_id)
        nothing, now = TenantNews(), time.monotonic()
        for tenant_id, those in self._followers.items():
            for follower in those:
                follower.tell(news.get(tenant_id, nothing), now)

    def wake_all(self) -> None:
        for those in self._followers.values():
            for follower in those:
                follower.ring()

    async def drain(self, health: Health) -> None:
        """When the instance leaves the balancers, have its followers go elsewhere."""
        while not health.draining:  # noqa: ASYNC110 - a flag of the machinery, without an event to wait for
            await asyncio.sleep(_DRAIN_CHECK_SECONDS)
        self.is_closing = True
        self.wake_all()


@asynccontextmanager
async def open_news(database: Database, health: Health, look_seconds: float) -> AsyncIterator[News]:
    """News that are looked for as long as the block runs."""
    news = News(database)
    async with in_background(keep(news.look, log=_log, every_seconds=look_seconds), news.drain(health)):
        yield news
