"""Finds what is due and delivers it, many at once: every worker runs one, and a claim is one worker's at a time.

A receiver that does not answer holds the places of its own webhook, and no more of these than a share of its owner's
and its tenant's. One that is failing is asked by one request at a time, also where looks follow each other closely.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from cachetools import TTLCache

from services.tasks.webhooks.claims import ClaimRepository, Due
from services.tasks.webhooks.delivering import Delivering
from services.tasks.webhooks.terms import Terms
from shared.ending import end
from shared.errors import ServiceError
from shared.limits import Place, Shares, ShareTaken
from shared.loops import in_background, keep
from shared.postgres import Database

_log = logging.getLogger("tasks.webhooks")
_IN_A_ROW: Final = 20  # deliveries that one place makes to a webhook before others have their turn
_ASKED_KNOWN: Final = 10_000
_FINISH_SECONDS: Final = 5.0  # for what is being sent when the worker ends; what goes on then is sent again elsewhere


class Deliverer:
    """Places of this worker, and what is being delivered in them."""

    def __init__(self, database: Database, delivering: Delivering, terms: Terms, every_seconds: float) -> None:
        self._database, self._delivering, self._terms = database, delivering, terms
        self._every_seconds = every_seconds
        self._asked: TTLCache[str, bool] = TTLCache(_ASKED_KNOWN, every_seconds / 2)  # those that are failing, lately
        self._shares = Shares("deliveries", terms.places)
        self._busy: Counter[str] = Counter()
        self._running: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()
        self._is_stopping = False
        self._is_short = False
        """Whether somebody waits for a place."""

    async def run(self) -> None:
        """Never returns."""
        every = self._every_seconds
        await keep(self.look, log=_log, every_seconds=every, retry_seconds=every, wake=self._freed)

    async def look(self) -> None:
        """Begin as much of what is due as there are places for. Raises Unavailable."""
        if self._is_stopping:
            return
        async with self._database.statements() as session:
            found = await ClaimRepository(session).list_due(self._terms.of_a_webhook)
        self._is_short = False
        random.shuffle(found)  # where there are too few places, it is not always the same who waits
        for due in found:
            self._begin(due)

    def _begin(self, due: Due) -> None:
        if due.is_failing and due.webhook_id in self._asked:  # this look is for a place that was given back
            return
        most = 1 if due.is_failing else self._terms.of_a_webhook
        for _ in range(min(due.count, most - self._busy[due.webhook_id])):
            if (place := self._place(due)) is None:
                self._is_short = True
                return
            if due.is_failing:
                self._asked[due.webhook_id] = True
            self._busy[due.webhook_id] += 1
            task = asyncio.create_task(self._serve(due, place), name=f"webhook:{due.webhook_id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _place(self, due: Due) -> Place | None:
        try:
            return self._shares.take(due.tenant_id, due.user_id)
        except ShareTaken:
            return None

    async def _serve(self, due: Due, place: Place) -> None:
        """Deliver what is due, one after another, until one does not arrive."""
        is_more = False
        try:
            for _ in range(1 if due.is_failing else _IN_A_ROW):
                is_more = not self._is_stopping and await self._delivering.deliver_next(due.webhook_id)
                if not is_more:
                    break
        except ServiceError as error:  # what was claimed is due again when the claim lapses
            _log.warning("not delivered", extra={"fields": {"webhook_id": due.webhook_id, "cause": error.detail}})
        except Exception:  # noqa: BLE001 - whatever it is, the others are delivered
            _log.exception("not delivered", extra={"fields": {"webhook_id": due.webhook_id}})
        finally:
            place.give_back()
            self._busy -= Counter({due.webhook_id: 1})
            if (is_more and not due.is_failing) or self._is_short:
                self._freed.set()

    async def aclose(self) -> None:
        """Begin nothing new, and give what is being sent a moment to arrive."""
        self._is_stopping = True
        if self._running:
            await asyncio.wait(self._running, timeout=_FINISH_SECONDS)
        await end(*self._running)


@asynccontextmanager
async def open_deliverer(deliverer: Deliverer) -> AsyncIterator[None]:
    """Deliver while the block runs."""
    async with in_background(deliverer.run()):
        try:
            yield
        finally:
            await deliverer.aclose()
