"""Runs that lie in Redis until somebody decides on their calls. No process has them, and no token is kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from redis.asyncio import Redis

from services.chat.domain import Decision, Owner, Turn, Waiting
from services.chat.errors import (
    ApprovalExpired,
    CallDecided,
    CallNotFound,
    ConversationNotFound,
    Interrupted,
    RunEnded,
    RunNotFound,
)
from services.chat.runs import scripts
from services.chat.runs.events import Event
from services.chat.runs.logs import LogLimits, require_room
from services.chat.runs.outbox import OUTBOX_KEYS, untold
from services.chat.settings import Settings
from services.chat.storage import RUNNING, Keys, running_member
from services.chat.times import now, to_ms
from services.chat.usage.counts import KEPT_SECONDS, counts_of, day_of, usage_key
from services.chat.usage.meter import current_meter
from services.chat.usage.users import UsageUsers
from shared.redis import redis_errors

_CALL = b"call:"


@dataclass(frozen=True, slots=True)
class PauseBounds:
    """How long a run may wait, is kept, and is claimed by the process that goes on with it."""

    approval_ms: int
    kept_seconds: int
    lease_ms: int
    logs: LogLimits = field(default_factory=LogLimits)

    @classmethod
    def of(cls, settings: Settings) -> "PauseBounds":
        return cls(
            approval_ms=round(settings.approval_seconds * 1000),
            kept_seconds=settings.run_kept_seconds + math.ceil(settings.approval_seconds),
            lease_ms=round(settings.run_lease_seconds * 1000),
            logs=LogLimits.of(settings),
        )


@dataclass(frozen=True, slots=True)
class Resumed:
    """A run that goes on here: how it lay, what was decided on its calls, and its last event."""

    loop: bytes
    decisions: dict[str, Decision]
    last_event: int


@dataclass(frozen=True, slots=True)
class Lying:
    """A run as one finds it who is to decide on a call; `is_last` if it then goes on.

    `again` tells a decision from those before it that came to nothing, as their processes died; empty for the first.
    """

    conversation_id: str
    agent_id: str
    model: str
    is_last: bool
    again: str = ""


class PauseRepository:
    """Every method raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis, bounds: PauseBounds, inbox: str, told: Callable[[], None] = untold) -> None:
        self._redis, self._bounds, self._inbox, self._told = redis, bounds, inbox, told
        self._users = UsageUsers(redis)
        self._pause = redis.register_script(scripts.PAUSE)
        self._decide = redis.register_script(scripts.DECIDE)

    @property
    def approval_ms(self) -> int:
        return self._bounds.approval_ms

    async def pause(self, turn: Turn, event: Event, waiting: Waiting, loop: bytes) -> None:
        """Lay the run down, with `run.waiting`. Doing it again changes nothing.

        Raises ConversationNotFound when its conversation was deleted, Interrupted when others have ended the run, and
        RunTooLong or RunsKeptTooMuch where its log has no room for how it lies.
        """
        keys, bounds = Keys(turn.owner), self._bounds
        names = [
            keys.lease(turn.conversation_id),
            keys.run(turn.run_id),
            keys.events(turn.run_id),
            keys.runs(turn.conversation_id),
            usage_key(turn.owner, day_of(turn)),
            *OUTBOX_KEYS,
        ]
        ids = [call.call_id for call in waiting.calls]
        arguments: list[Any] = [
            turn.run_id,
            event.number,
            event.data,
            loop,
            bounds.approval_ms,
            bounds.kept_seconds,
            counts_of(turn, current_meter()),
            KEPT_SECONDS,
            turn.since,
            *bounds.logs.arguments,
            *ids,
        ]
        with redis_errors():
            await self._users.name(turn.owner, day_of(turn))
            status = (await self._pause(keys=names, args=arguments)).decode()
        self._told()
        require_room(status)
        if status != "requires_action":
            raise ConversationNotFound if status == "gone" else Interrupted

    async def look(self, owner: Owner, run_id: str, call_id: str) -> Lying:
        """How it lies before anything is decided. Raises RunNotFound."""
        names = ["conversation_id", "agent_id", "model", f"again:{call_id}", "status", "undecided", f"call:{call_id}"]
        with redis_errors():
            found: Any = await self._redis.hmget(Keys(owner).run(run_id), names)
        conversation_id, agent_id, model, again, *how = found
        if conversation_id is None:
            raise RunNotFound
        is_last = how == [b"requires_action", b"1", b""]
        suffix = f":{again.decode()}" if again else ""
        return Lying(conversation_id.decode(), (agent_id or b"").decode(), (model or b"").decode(), is_last, suffix)

    async def loop_of(self, owner: Owner, run_id: str) -> bytes | None:
        """How it was laid down last; None for one that has ended."""
        with redis_errors():
            found: Any = await self._redis.hget(Keys(owner).run(run_id), "loop")
        return bytes(found) if found else None

    async def decide(
        self, owner: Owner, run_id: str, call_id: str, decision: Decision, conversation_id: str, claim: str | None
    ) -> Resumed | Literal["kept", "last"]:
        """Keep the decision; with the last of a step the run goes on, for the one who said it and nobody else.

        Without a `claim`, which names the request, the last one is not kept: `last`. With the same claim it may be said
        again where Redis' answer was lost. The same decision again is kept already.

        Raises CallNotFound, CallDecided, RunEnded, RunNotFound, and ApprovalExpired for a run that is to be ended.
        """
        keys = Keys(owner)
        names = [keys.lease(conversation_id), keys.run(run_id), keys.events(run_id)]
        said = orjson.dumps({"approve": decision.approve, "reason": decision.reason})
        # Looked after from before it goes on, as when it began: else a process that dies now leaves it for long.
        noted = {running_member(owner, conversation_id, run_id): to_ms(now()) + self._bounds.lease_ms}
        with redis_errors():
            await self._redis.zadd(RUNNING, noted)
            answer: list[bytes] = await self._decide(
                keys=names,
                args=[run_id, call_id, said, self._bounds.lease_ms, self._inbox, int(bool(claim)), claim or ""],
            )
        match answer[0]:
            case b"go":
                return Resumed(answer[1], _decisions(answer[3:]), int(answer[2]))
            case b"kept":
                return "kept"
            case b"last":
                return "last"
            case b"gone":
                raise RunNotFound
            case b"unknown":
                raise CallNotFound
            case b"decided":
                raise CallDecided
            case b"expired":
                raise ApprovalExpired
            case status:
                raise RunEnded(status.decode())


def _decisions(fields: list[bytes]) -> dict[str, Decision]:
    """What was decided, by call, among the fields of a run."""
    return {
        name.removeprefix(_CALL).decode(): Decision(**orjson.loads(said))
        for name, said in zip(fields[::2], fields[1::2], strict=True)
        if said and name.startswith(_CALL)
    }
