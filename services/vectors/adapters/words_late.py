"""Gives their words to collections that were made before their engine kept any, beside everything else it does."""

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakValueDictionary

from services.vectors.domain import Collection
from services.vectors.errors import CollectionMissing, WordsMissing
from shared.errors import ServiceError, Unavailable
from shared.limits import Turns

_log = logging.getLogger("vectors.words")
_AT_ONCE: Final = 8
_OF_A_TENANT: Final = 2
_WAITING: Final = 1024


class LateWords:
    """Begun by the first who searches such a collection by keywords; several at once, of one tenant two.

    What was done is kept, so that the next search goes on where a broken attempt or a killed process stopped.
    """

    def __init__(self, give: Callable[[Collection], Awaitable[None]], *, at_once: int = _AT_ONCE) -> None:
        """`give` returns when each text of the collection has its words; it may be repeated at any time.

        `at_once`: less than usual where an engine does one thing at a time, and searches wait behind it.
        """
        self._give = give
        self._of_a_tenant = min(_OF_A_TENANT, at_once)
        self._turns = Turns(at_once, waiting=_WAITING, per_source=self._of_a_tenant)
        self._tenants: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed: set[str] = set()

    def missing(self, collection: Collection) -> WordsMissing:
        """What to raise for a search by keywords; from now on its words are being made."""
        if collection.id not in self._tasks:
            # Of nobody's request: it goes on when who began it has gone.
            task = asyncio.create_task(self._work(collection), context=contextvars.Context())
            self._tasks[collection.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(collection.id, None))
        return WordsMissing(collection.name, are_coming=collection.id not in self._failed)

    async def _work(self, collection: Collection) -> None:
        fields = {"collection_id": collection.id, "tenant_id": collection.tenant_id}
        try:
            tenant_id = collection.tenant_id
            tenant = self._tenants.setdefault(tenant_id, asyncio.Semaphore(self._of_a_tenant))
            async with tenant, self._turns.turn(tenant_id, lambda: Unavailable(collection.engine.component)):
                await self._give(collection)
        except CollectionMissing:
            return  # it was deleted meanwhile
        except ServiceError as error:
            self._failed.add(collection.id)
            _log.warning("a collection did not get its words", extra={"fields": fields | {"cause": error.detail}})
        except Exception:  # noqa: BLE001 - whatever it is, the next search tries again
            self._failed.add(collection.id)
            _log.exception("a collection did not get its words", extra={"fields": fields})
        else:
            self._failed.discard(collection.id)
            _log.info("a collection of before got its words", extra={"fields": fields})

    async def aclose(self) -> None:
        """What is under way stops between two steps."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
