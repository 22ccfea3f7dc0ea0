"""The outbox: what became of a run is written by the very script that has it so; docs/decisions/0084.

    chat:outbox           stream, one entry an event
    chat:outbox:waiting   hash, by tenant how many of its events wait
    chat:outbox:untold    number, events that found no place since it was last looked at
    chat:outbox:relay     text, which replica publishes; it is another's when that is silent for half a minute

It is in one slot, and the runs it tells of are in others: chat's Redis is no cluster (`tails.py`).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final

import orjson
from prometheus_client import CollectorRegistry, Counter
from redis.asyncio import Redis

from services.chat.events import STATES, RunEvent, RunTold
from services.chat.given import Door
from services.chat.runs.outbox_scripts import CLAIM, SETTLE
from services.chat.storage import run_named
from services.chat.times import from_ms
from shared.errors import Unavailable
from shared.loops import keep
from shared.messages import EVENTS_EXCHANGE, Batch, OutgoingMessage, require_published
from shared.redis import redis_errors
from shared.schemas import new_id, rfc3339

_log = logging.getLogger("chat.outbox")
_STREAM: Final = "chat:outbox"
_WAITING: Final = "chat:outbox:waiting"
_UNTOLD: Final = "chat:outbox:untold"
_RELAY: Final = "chat:outbox:relay"
OUTBOX_KEYS: Final = (_STREAM, _WAITING, _UNTOLD)
"""As `scripts.py` takes them."""
# Longer than a batch takes where nothing answers: claiming and settling 5 s each, publishing 5 s.
_LEASE_SECONDS = 30
_COUNTS_EVERY_SECONDS: Final = 10.0


def untold() -> None:
    """For whoever has nobody to call when there is news."""


class Outbox:
    """What waits to be published. Every method raises Unavailable when Redis cannot serve."""

    def __init__(self, redis: Redis, registry: CollectorRegistry) -> None:
        self._redis, self._holder = redis, new_id()
        self._claim = redis.register_script(CLAIM)
        self._settle = redis.register_script(SETTLE)
        self._untold = Counter("chat_run_events_untold_total", "events of runs that found no place", registry=registry)
        self.wake = asyncio.Event()

    def notify(self) -> None:
        """Have the relay of this process look now instead of at its next round."""
        self.wake.set()

    async def oldest(self) -> datetime | None:
        """Since when the oldest event waits; None when none does."""
        with redis_errors():
            entries: Any = await self._redis.xrange(_STREAM, count=1)
        return _written_at(entries[0][0]) if entries else None

    async def check(self) -> None:
        """Raises Finding when its oldest event waits for too long."""
        require_published(await self.oldest())

    @asynccontextmanager
    async def taken(self, limit: int) -> AsyncIterator[Batch]:
        """The oldest, none while another replica publishes. They are this one's until they are settled, or the block is
        left, or for half a minute: who died is not waited for longer."""
        try:
            yield await self._taken(limit)
        except BaseException:  # who is stopped keeps nobody waiting
            with suppress(Unavailable):
                await self._settled([])
            raise

    async def _taken(self, limit: int) -> Batch:
        with redis_errors():
            entries: Sequence[tuple[bytes, list[bytes]]] = await self._claim(
                keys=[_RELAY, _STREAM], args=[self._holder, _LEASE_SECONDS * 1000, limit]
            )
        places = dict[str, tuple[bytes, str]]()
        messages = list[OutgoingMessage]()
        for place, flat in entries:
            told, message = _read(place, flat)
            places[message.id] = place, told.tenant_id
            messages.append(message)

        async def settle(published: Iterable[OutgoingMessage]) -> None:
            settled = [part for message in published for part in places[message.id]]
            await self._settled(settled)

        return Batch(messages, settle if entries else _nothing)

    async def _settled(self, places: Sequence[bytes | str]) -> None:
        """Forget what was published, and let others publish."""
        with redis_errors():
            await self._settle(keys=[_RELAY, _STREAM, _WAITING], args=[self._holder, *places])

    async def run(self) -> None:
        """Counts what found no place, and says so in the log. Never returns."""
        await keep(self._count_untold, log=_log, every_seconds=_COUNTS_EVERY_SECONDS)

    async def _count_untold(self) -> None:
        with redis_errors():
            number: Any = await self._redis.getdel(_UNTOLD)
        if number:
            self._untold.inc(int(number))
            _log.error("events of runs are not told: too many wait", extra={"fields": {"untold": int(number)}})


async def _nothing(_published: Iterable[OutgoingMessage]) -> None:
    """There is nothing to settle."""


def _written_at(place: bytes) -> datetime:
    return from_ms(int(place.partition(b"-")[0]))


def _read(place: bytes, flat: list[bytes]) -> tuple[RunTold, OutgoingMessage]:
    """An entry of the stream, whose place says when it was written. A message has the same id however often it goes."""
    said = {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
    owner, run_id = run_named(said["run"])
    event = RunEvent(f"{said['event']}.v1")
    told = RunTold(
        run_id=run_id,
        conversation_id=said["conversation_id"],
        agent_id=said["agent_id"] or None,
        tenant_id=owner.tenant_id,
        user_id=owner.user_id,
        key_id=said["key_id"] or None,
        status=STATES[event],
        code=said["code"] or None,
        door=said.get("door") or Door.CHAT,
        model=said["model"] or None,
        finished_at=rfc3339(from_ms(int(said["finished_at"]))) if said["finished_at"] else None,
        occurred_at=rfc3339(_written_at(place)),
    )
    body = orjson.dumps(told.body)
    message_id = f"{run_id}:{said['number']}"
    return told, OutgoingMessage(message_id, EVENTS_EXCHANGE, event.value, body, is_mandatory=False)
