"""Runs in Redis: their state, their events, and the turn's messages, changed together."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Literal, cast

import orjson
from redis.asyncio import Redis

from services.chat.bounds import Bounds
from services.chat.domain import LastTurn, Message, Owner, Run, Turn, Waiting
from services.chat.errors import ConversationNotFound, NothingToAnswer, RunNotFound
from services.chat.images.reading import MOST_SHOWN_BYTES
from services.chat.past import Past
from services.chat.runs import scripts
from services.chat.runs.beginning import (
    Begun,
    RunKey,
    given_arguments,
    given_keys,
    require_begun,
    start_arguments,
    start_keys,
)
from services.chat.runs.events import FINAL, RUN_FIELDS, Event, abandoned, event_from, run_from
from services.chat.runs.finishing import FAIL, FINISH, finish_arguments, finish_keys
from services.chat.runs.given_scripts import START_ALONE, START_JOINED
from services.chat.runs.leases import MISSED, MISSED_MS
from services.chat.runs.log_scripts import APPEND
from services.chat.runs.logs import require_room
from services.chat.runs.noting import noted_run
from services.chat.runs.outbox import OUTBOX_KEYS, untold
from services.chat.storage import Keys, message_from
from services.chat.stretches import Stretches
from services.chat.times import from_ms, now, to_ms
from services.chat.usage.counts import GUARDED_SECONDS, KEPT_SECONDS, counted_key, day_of, usage_key
from services.chat.usage.users import UsageUsers
from shared.redis import redis_errors

Status = Literal["queued", "running", "requires_action", "completed", "failed", "cancelled", "gone"]
UNENDED: Final[frozenset[Status]] = frozenset({"queued", "running", "requires_action"})
# One who is slow to take events has no more of them in memory than these.
_EVENTS_AT_ONCE = 16
_ALL_AT_ONCE = 512
_MESSAGES_AT_ONCE = 16
_MESSAGES_OF_A_TURN = 128  # a question, its answer, and calls and results that were put between them
_BYTES_OF_A_PAST: Final = 4 * MOST_SHOWN_BYTES // 3  # so much are the images of one prompt in base64
_EVENTS_AFTER_THE_LAST = 16  # that an earlier release may have written


class RunRepository:
    """Every method raises Unavailable naming `redis` when it does not answer.

    `inbox` is where this process hears what others want of its runs; `told` is called when the outbox may have news.
    """

    def __init__(self, redis: Redis, bounds: Bounds, inbox: str, told: Callable[[], None] = untold) -> None:
        self._redis, self._bounds, self._inbox, self._told = redis, bounds, inbox, told
        self._users, self._stretches = UsageUsers(redis), Stretches(redis)
        self._start = redis.register_script(scripts.START)
        self._start_alone, self._start_joined = redis.register_script(START_ALONE), redis.register_script(START_JOINED)
        self._append = redis.register_script(APPEND)
        self._finish, self._fail = redis.register_script(FINISH), redis.register_script(FAIL)
        self._renew = redis.register_script(scripts.RENEW)
        self._abandon = redis.register_script(scripts.ABANDON)
        self._cancel = redis.register_script(scripts.CANCEL)

    @property
    def lease_ms(self) -> int:
        """For how long a conversation is claimed at a time."""
        return self._bounds.lease_ms

    async def start(self, turn: Turn, event: Event, key: RunKey | None = None) -> None:
        """Claim the conversation (or make it), store the user's message, the first event and the key: all or nothing.

        Raises KeyTaken, TurnChanged, ConversationNotFound, ConversationOfOtherAgent, RunActive, ConversationFull,
        TooManyConversations, KeptTooMuch, RunsKeptTooMuch.
        """
        if turn.given:
            script = self._start_alone if turn.is_alone else self._start_joined
            names = given_keys(turn, key)
            arguments = given_arguments(turn, turn.given, event, key, self._bounds, self._inbox)
        else:
            script, names = self._start, start_keys(turn, key)
            arguments = await start_arguments(turn, event, key, self._bounds, self._inbox)
        require_begun(await noted_run(self._redis, script, turn, self.lease_ms, names, arguments))

    async def find_begun(self, owner: Owner, digest: bytes) -> Begun | None:
        """The run that was begun for this key, whatever became of it."""
        with redis_errors():
            stored: Any = await self._redis.get(Keys(owner).once(digest))
        if stored is None:
            return None
        members = orjson.loads(stored)
        return Begun(members.get("run_id", ""), bytes.fromhex(members["of"]), stored)

    async def last_turn(self, owner: Owner, conversation_id: str) -> LastTurn:
        """The end of a conversation, which begins with a question. Raises ConversationNotFound, NothingToAnswer."""
        with redis_errors():
            about: Any = await self._redis.hmget(
                Keys(owner).conversation(conversation_id), ["agent_id", "last_activity_at"]
            )
            agent_id, last_activity_ms = about
            if agent_id is None or self._bounds.is_over(owner, int(last_activity_ms)):
                raise ConversationNotFound
            turn, has_more = list[tuple[str, str]](), bool(agent_id)
            while has_more and len(turn) < _MESSAGES_OF_A_TURN:
                after = turn[-1][0] if turn else None
                stretch = await self._stretches.read(
                    owner, conversation_id, after, newest_first=True, most=_MESSAGES_AT_ONCE
                )
                for place, stored in stretch.entries:
                    message = message_from(stored)
                    turn.append((place, message.id))
                    if message.role == "user":
                        return LastTurn(agent_id.decode(), message, turn)
                has_more = stretch.has_more
        raise NothingToAnswer

    async def past(self, turn: Turn, limit: int) -> Past:
        """What was said before this turn, of which up to `limit` messages are read, and no more than one may show."""
        if turn.is_new_conversation or turn.given:
            return Past()
        with redis_errors():
            stretch = await self._stretches.read(
                turn.owner, turn.conversation_id, newest_first=True, most=limit + 1, most_bytes=_BYTES_OF_A_PAST
            )
        messages = [message_from(stored) for _, stored in reversed(stretch.entries)]
        earlier = [message for message in messages if message.run_id != turn.run_id]
        return Past(earlier[-limit:] if limit else [], stretch.total - len(messages) + len(earlier))

    async def append(self, turn: Turn, event: Event) -> Literal["ok", "ended", "gone"]:
        """Store an event; the same number twice is stored once. `ended` by others, or `gone` with the conversation.

        Raises RunTooLong, RunsKeptTooMuch; then it is not stored.
        """
        keys = Keys(turn.owner)
        arguments: list[Any] = [event.number, event.type, event.data, *self._bounds.logs.arguments]
        with redis_errors():
            stored = (
                await self._append(keys=[keys.run(turn.run_id), keys.events(turn.run_id)], args=arguments)
            ).decode()
            if stored == "old":
                return await self._was_stored(keys, turn, event)
        require_room(stored)
        return "gone" if stored == "gone" else "ok"

    async def _was_stored(self, keys: Keys, turn: Turn, event: Event) -> Literal["ok", "ended", "gone"]:
        """`ok` where an earlier attempt arrived and only its answer did not; else somebody has told something else."""
        place = f"{event.number}-0"
        async with self._redis.pipeline() as pipeline:
            pipeline.hget(keys.run(turn.run_id), "status")
            pipeline.xrange(keys.events(turn.run_id), place, place)
            status, entries = await pipeline.execute()
        if status is None:
            return "gone"
        is_own = [event_from(*entry) for entry in entries] == [event]
        return "ok" if status == b"running" and is_own else "ended"

    async def end(
        self,
        turn: Turn,
        status: Literal["completed", "failed"],
        events: list[Event],
        messages: Sequence[Message] = (),
    ) -> Status:
        """Store the last events and the `messages`, and free the conversation: all or nothing, once.

        Answers what the run then is: another status when it had ended before, `gone` when its conversation was deleted.
        Raises RunTooLong, RunsKeptTooMuch where its log has no room for the answer; then nothing is stored.
        """
        script = self._finish if status == "completed" else self._fail
        arguments = await finish_arguments(turn, status, events, messages, self._bounds)
        with redis_errors():
            await self._users.name(turn.owner, day_of(turn))
            answer_word: str = (await script(keys=finish_keys(turn), args=arguments)).decode()
        require_room(answer_word)
        self._told()
        return cast("Status", answer_word)

    async def renew(self, turn: Turn) -> Literal["ok", "lost", "gone"]:
        """Keep the conversation claimed. `lost` to another run, or `gone` with the conversation."""
        keys = Keys(turn.owner)
        names = [keys.lease(turn.conversation_id), keys.run(turn.run_id)]
        with redis_errors():
            answer: Literal["ok", "lost", "gone"] = (
                await self._renew(keys=names, args=[turn.run_id, self.lease_ms, turn.since])
            ).decode()
        return answer

    async def get(self, owner: Owner, run_id: str) -> Run:
        """The run as it is kept. Raises RunNotFound."""
        with redis_errors():
            found: Any = await self._redis.hmget(Keys(owner).run(run_id), RUN_FIELDS)
        stored = {name.encode(): value for name, value in zip(RUN_FIELDS, found, strict=True) if value is not None}
        if not stored:
            raise RunNotFound
        run = run_from(run_id, stored)
        return replace(run, waiting=await self._undecided(owner, run_id, run.waiting)) if run.waiting else run

    async def _undecided(self, owner: Owner, run_id: str, waiting: Waiting) -> Waiting:
        """What it still waits for: `run.waiting` told of all its calls, and some may be decided on by now."""
        names = [f"call:{call.call_id}" for call in waiting.calls]
        with redis_errors():
            decisions: Any = await self._redis.hmget(Keys(owner).run(run_id), names)
        return replace(waiting, calls=[call for call, said in zip(waiting.calls, decisions, strict=True) if not said])

    async def find_conversation_of(self, owner: Owner, run_id: str) -> str | None:
        """The conversation of a run whose events are still kept, else None."""
        with redis_errors():
            found: Any = await self._redis.hget(Keys(owner).run(run_id), "conversation_id")
        return str(found, "ascii") if found else None

    async def find_active(self, owner: Owner, conversation_id: str) -> str | None:
        """The run that answers in the conversation now, also one whose lease ran out and which has not ended yet."""
        keys = Keys(owner)
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.get(keys.lease(conversation_id))
                pipeline.hget(keys.conversation(conversation_id), "run")
                holder, last = await pipeline.execute()
            if holder is None and last and await self._redis.hget(keys.run(last.decode()), "status") == b"running":
                holder = last
        return str(holder, "ascii") if holder else None

    async def read(self, owner: Owner, run_id: str, after: int, *, at_once: int = _EVENTS_AT_ONCE) -> list[Event]:
        """Events after number `after`, as many as are read at once."""
        with redis_errors():
            entries: Any = await self._redis.xrange(Keys(owner).events(run_id), f"({after}-0", "+", count=at_once)
        return [event_from(*entry) for entry in entries]

    async def read_all(self, owner: Owner, run_id: str) -> list[Event]:
        """All that it has told so far: as much as one log may hold."""
        return [event async for some in self.stretches(owner, run_id) for event in some]

    async def stretches(self, owner: Owner, run_id: str) -> AsyncIterator[list[Event]]:
        """The same, some at a time: others have their turn between them."""
        seen = 0
        while some := await self.read(owner, run_id, seen, at_once=_ALL_AT_ONCE):
            yield some
            seen = some[-1].number

    async def find_last_event(self, owner: Owner, run_id: str) -> Event | None:
        """The newest event of a run whose events are still kept."""
        with redis_errors():
            entries: Any = await self._redis.xrevrange(Keys(owner).events(run_id), count=1)
        return event_from(*entries[0]) if entries else None

    async def is_told(self, owner: Owner, run_id: str, seen: int) -> bool:
        """Whether event `seen` ended the run, or came after its end."""
        with redis_errors():
            entries: Any = await self._redis.xrevrange(
                Keys(owner).events(run_id), f"{seen}-0", "-", count=_EVENTS_AFTER_THE_LAST
            )
        return any(event_from(*entry).type in FINAL for entry in entries)

    async def cancel(self, owner: Owner, run_id: str, conversation_id: str) -> tuple[Status, str]:
        """End a run that goes on, with `run.cancelled`. Answers what the run then is, and the inbox of whoever executes
        it, which is empty where the run had ended before."""
        data = orjson.dumps({"run_id": run_id, "conversation_id": conversation_id})
        arguments: list[Any] = [run_id, to_ms(now()), GUARDED_SECONDS, KEPT_SECONDS, data]
        with redis_errors():
            names = await self._ending(owner, run_id, conversation_id)
            status, inbox = await self._cancel(keys=names, args=arguments)
        self._told()
        return status.decode(), inbox.decode()

    async def end_if_abandoned(self, owner: Owner, run_id: str, conversation_id: str) -> Status:
        """Store `run.failed` when no process holds the run any more, or it waited too long. Answers what the run is.

        A lease is missed three times for that: a single look may come just after Redis stood still.
        """
        told = abandoned(run_id, conversation_id)
        arguments: list[Any] = [run_id, to_ms(now()), GUARDED_SECONDS, KEPT_SECONDS, *told, MISSED, MISSED_MS]
        with redis_errors():
            names = [*await self._ending(owner, run_id, conversation_id), Keys(owner).conversation(conversation_id)]
            answer: Status = (await self._abandon(keys=names, args=arguments)).decode()
        self._told()
        return answer

    async def _ending(self, owner: Owner, run_id: str, conversation_id: str) -> list[str]:
        """KEYS of CANCEL, and most of ABANDON's; of a run that there is not, no usage is counted."""
        keys = Keys(owner)
        began: Any = await self._redis.hget(keys.run(run_id), "created_at")
        day = from_ms(int(began or 0)).date()
        usage = [usage_key(owner, day), counted_key(owner, run_id)]
        return [keys.lease(conversation_id), keys.run(run_id), keys.events(run_id), *usage, *OUTBOX_KEYS]
