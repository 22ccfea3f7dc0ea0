"""Runs in Redis that wait for their turn, each held by the process that took its message in and will execute it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from redis.asyncio import Redis

from services.chat.bounds import Bounds
from services.chat.domain import Owner, Turn
from services.chat.keeping import kept_keys
from services.chat.runs import queue_scripts
from services.chat.runs.beginning import RunKey, once_holds, require_begun, title_of
from services.chat.runs.events import CANCELLED, FAILED, Event, abandoned, queued, started
from services.chat.runs.leases import MISSED, MISSED_MS
from services.chat.runs.noting import noted, noted_run
from services.chat.runs.outbox import OUTBOX_KEYS, untold
from services.chat.runs.repository import Status
from services.chat.storage import QUEUED, Keys, message_bytes
from services.chat.times import now, to_ms
from services.chat.words import kept_words
from shared.redis import redis_errors

_STARTED: Final = 2
"""Number of `run.started` of a run that has waited."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands that waits."""

    status: str | None
    is_next: bool
    is_free: bool

    @property
    def is_called(self) -> bool:
        """Whether there is anything to do but to wait."""
        return self.status != "queued" or (self.is_next and self.is_free)


class QueueRepository:
    """Every method raises Unavailable naming `redis` when it does not answer.

    `inbox` is where this process hears what others want of its runs; `told` is called when the outbox may have news.
    """

    def __init__(self, redis: Redis, bounds: Bounds, inbox: str, told: Callable[[], None] = untold) -> None:
        self._redis, self._bounds, self._inbox, self._told = redis, bounds, inbox, told
        self._enqueue = redis.register_script(queue_scripts.ENQUEUE)
        self._take = redis.register_script(queue_scripts.TAKE)
        self._leave = redis.register_script(queue_scripts.LEAVE)

    @property
    def seconds(self) -> float:
        """How long a run waits at most."""
        return self._bounds.queue_seconds

    async def enqueue(self, turn: Turn, key: RunKey | None) -> Event:
        """Put the turn at the end of its conversation's queue, and keep its message and the key: all or nothing.

        Answers `run.queued`. Raises KeyTaken, ConversationNotFound, ConversationOfOtherAgent, QueueFull,
        ConversationFull, KeptTooMuch, RunsKeptTooMuch.
        """
        names, arguments = _enqueue_keys(turn, key), self._enqueue_arguments(turn, key)
        lease_ms = self._bounds.lease_ms  # noted before, as a run that begins: so none is missing
        answer, place = await noted(self._redis, self._enqueue, QUEUED, turn, lease_ms, names, arguments)
        require_begun(answer.decode())
        return queued(turn, place)

    def _enqueue_arguments(self, turn: Turn, key: RunKey | None) -> list[Any]:
        """ARGV of ENQUEUE."""
        kept_seconds = self._bounds.kept_seconds + round(self._bounds.queue_seconds)
        return [
            turn.run_id,
            turn.conversation_id,
            turn.agent.id,
            to_ms(turn.question.created_at),
            message_bytes(turn.question),
            turn.model,
            self._inbox,
            queued(turn).data,
            self._bounds.lease_ms,
            kept_seconds,
            kept_seconds,
            self._bounds.max_messages,
            self._bounds.max_queued,
            key.before if key else b"",
            once_holds(turn, key),
            self._bounds.retention_of(turn.owner),
            turn.owner.user_id,
            *self._bounds.kept.arguments,
            turn.key_id or "",
            *self._bounds.logs.arguments,
        ]

    async def take(self, turn: Turn) -> str:
        """Begin the turn if it has come, for good: `ok`, `wait`, or what has become of it. May be repeated.

        Noted anew as a run each time: while it waited it was forgotten there.
        """
        keys, conversation_id = Keys(turn.owner), turn.conversation_id
        title = title_of(turn.question.content)
        names = [
            keys.conversation(conversation_id),
            keys.messages(conversation_id),
            keys.lease(conversation_id),
            keys.runs(conversation_id),
            keys.conversations,
            keys.run(turn.run_id),
            keys.events(turn.run_id),
            keys.queue(conversation_id),
            keys.words(conversation_id),
            keys.hold(turn.run_id),
            *kept_keys(turn.owner),
        ]
        arguments: list[Any] = [
            turn.run_id,
            conversation_id,
            to_ms(now()),
            self._bounds.retention_of(turn.owner),
            self._bounds.lease_ms,
            self._bounds.kept_seconds,
            started(turn, _STARTED).data,
            self._inbox,
            turn.question.id,
            await kept_words(turn.question.content),
            turn.owner.user_id,
            turn.agent.id,
            title,
            await kept_words(title),
        ]
        return await noted_run(self._redis, self._take, turn, self._bounds.lease_ms, names, arguments)

    async def look(self, turns: Sequence[Turn]) -> list[Place]:
        """Where each of them stands."""
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for turn in turns:
                    keys = Keys(turn.owner)
                    pipeline.hget(keys.run(turn.run_id), "status")
                    pipeline.lindex(keys.queue(turn.conversation_id), 0)
                    pipeline.exists(keys.lease(turn.conversation_id))
                found: list[Any] = await pipeline.execute()
        return [
            Place(status.decode() if status else None, head == turn.run_id.encode(), not leased)
            for turn, status, head, leased in zip(turns, found[::3], found[1::3], found[2::3], strict=True)
        ]

    async def hold(self, turns: Sequence[Turn]) -> None:
        """Say that this process is there to execute them."""
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for turn in turns:
                    keys = Keys(turn.owner)
                    pipeline.set(keys.hold(turn.run_id), self._inbox, px=self._bounds.lease_ms)
                    pipeline.hdel(keys.run(turn.run_id), "missed", "missed_at")
                await pipeline.execute()

    async def list_waiting(self, owner: Owner, conversation_id: str) -> list[str]:
        """The runs that wait in the conversation, the next one first."""
        with redis_errors():
            found: Any = await self._redis.lrange(Keys(owner).queue(conversation_id), 0, -1)
        return [run_id.decode() for run_id in found]

    async def fail(self, turn: Turn, event: Event) -> Status:
        """End a turn that waits with `event`, its `run.failed`. Answers what the run is, `running` if it has begun."""
        status, _ = await self._left(turn.owner, turn.run_id, turn.conversation_id, "failed", event.type, event.data)
        return status

    async def cancel(self, owner: Owner, run_id: str, conversation_id: str) -> tuple[Status, str]:
        """End a run that waits with `run.cancelled`. Answers what the run is, and the inbox of whoever holds it."""
        data = orjson.dumps({"run_id": run_id, "conversation_id": conversation_id})
        return await self._left(owner, run_id, conversation_id, "cancelled", CANCELLED, data)

    async def give_up_if_left(self, owner: Owner, run_id: str, conversation_id: str) -> bool:
        """End a run that waits and whose process is gone. Whether it waits no longer.

        As with runs that are executed it is missed several times before.
        """
        data, _ = abandoned(run_id, conversation_id)
        status, _ = await self._left(owner, run_id, conversation_id, "failed", FAILED, data, MISSED)
        return status != "queued"

    async def _left(
        self,
        owner: Owner,
        run_id: str,
        conversation_id: str,
        status: Status,
        event_type: str,
        data: bytes,
        missed: int = 0,
    ) -> tuple[Status, str]:
        keys = Keys(owner)
        names = [keys.queue(conversation_id), keys.run(run_id), keys.events(run_id), keys.hold(run_id), *OUTBOX_KEYS]
        arguments: list[Any] = [run_id, to_ms(now()), status, event_type, data, missed, MISSED_MS]
        with redis_errors():
            became, inbox = await self._leave(keys=names, args=arguments)
        self._told()
        return became.decode(), inbox.decode()


def _enqueue_keys(turn: Turn, key: RunKey | None) -> list[str]:
    """KEYS of ENQUEUE."""
    keys, conversation_id = Keys(turn.owner), turn.conversation_id
    return [
        keys.conversation(conversation_id),
        keys.messages(conversation_id),
        keys.runs(conversation_id),
        keys.queue(conversation_id),
        keys.run(turn.run_id),
        keys.events(turn.run_id),
        keys.hold(turn.run_id),
        keys.once(key.digest if key else b""),
        keys.conversations,
        *kept_keys(turn.owner),
    ]
