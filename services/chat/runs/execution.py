"""Answers a turn: searches, asks the model, stores the answer — or tells why not. Nobody need be listening."""

import asyncio
import logging
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import Final

from services.chat.domain import Reply, RunState, Turn, Waiting
from services.chat.errors import ConversationNotFound, Interrupted, ModelTimeout, TurnExpired
from services.chat.generation import Usage
from services.chat.runs.beginning import RunKey
from services.chat.runs.events import RESUMED
from services.chat.runs.generating import Said
from services.chat.runs.journal import STORE_SECONDS, Journal
from services.chat.runs.laying import decided, laid_down, pick_up
from services.chat.runs.leases import RENEW_AGAIN_SECONDS
from services.chat.runs.live import LiveRun
from services.chat.runs.loop import Loop, begin_loop
from services.chat.runs.means import Means
from services.chat.runs.pauses import Resumed
from services.chat.runs.state import LoopState
from services.chat.runs.supervisor import Admission
from services.chat.runs.telling import Telling
from services.chat.runs.waiting_room import WaitingRoom
from services.chat.times import from_ms, now, to_ms
from services.chat.usage.meter import Meter, current_meter, total_of
from shared import deadlines
from shared.ending import within
from shared.errors import ServiceError, Unavailable
from shared.identity import Caller
from shared.loops import in_background, keep

REFUSAL: Final = "refusal"
"""The `finish_reason` of an answer that is the model's word that it will not answer."""
_log = logging.getLogger("chat.runs")
_AWAY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Paused:
    """A run that is to wait, and how it lies meanwhile."""

    waiting: Waiting
    loop: bytes


class Execution:
    """One turn on its way to its answer: `begin`, then `run`; `live` is for those who follow it.

    One that is to wait is `enqueue`d in place of `begin`, and `run` when its turn has come. One that lay down is
    `resumed`, and not begun.
    """

    def __init__(self, turn: Turn, means: Means, resumed: Resumed | None = None) -> None:
        self._turn, self._means, self._limits, self._resumed = turn, means, means.limits, resumed
        self.live = LiveRun(turn.run_id, turn.conversation_id, resumed.last_event if resumed else 0)
        self._journal = Journal(means.repository, means.pauses, means.queue, turn, self.live, means.joined)

    async def begin(self, key: RunKey | None = None) -> None:
        """Claim the conversation and keep the question. Raises what RunRepository.start raises."""
        await self._journal.begin(key)

    async def enqueue(self, key: RunKey | None = None) -> None:
        """Keep the question until its turn comes. Raises what QueueRepository.enqueue raises."""
        await self._journal.enqueue(key)

    async def turn_comes(self, room: WaitingRoom, caller: Caller, admission: Admission) -> bool:
        """Wait until the turn has come and has begun; False for one that has ended before. Never raises.

        The process that took the message in goes on with the rights of `caller`, if they have them still.
        """
        started_at = time.perf_counter()
        try:
            await within(room.seconds, self._take(room, caller, admission), stop=self.live.aborted)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as with `_outcome`
            failure = TurnExpired() if isinstance(error, TimeoutError) else self._failure(error)
            end = await self._journal.fail(failure)
            outcome = end.code if isinstance(end, ServiceError) else failure.code
            self._means.instruments.run_ended(self._turn, outcome, time.perf_counter() - started_at)
            return False
        return True

    async def _take(self, room: WaitingRoom, caller: Caller, admission: Admission) -> None:
        """What is away is waited for: the message has its place in Redis. So is a place for the answer, which is taken
        before the turn is, and asked for again with each look into the room."""
        with room.waiter(self._turn) as waiter:
            while True:
                await waiter.called()
                if not admission.steps_up():
                    continue
                try:
                    await room.require(caller)
                    if await self._journal.take():
                        admission.begins()
                        return
                except Unavailable:
                    admission.stand_back()
                    await asyncio.sleep(_AWAY_SECONDS)
                    waiter.call()
                else:
                    admission.stand_back()

    def limited(self) -> AbstractContextManager[None]:
        """What others do for it in the block has the time of one run: of the wait before nothing is taken off."""
        return deadlines.of_its_own(self._limits.run_seconds)

    async def run(self) -> None:
        """Answer the turn. Never raises: the outcome is in `live`, which has then ended."""
        started_at = time.perf_counter()
        async with in_background(self._keep_lease()):
            outcome = await self._outcome()
        self._means.instruments.run_ended(self._turn, outcome, time.perf_counter() - started_at)

    async def _outcome(self) -> str:
        """`completed`, `requires_action`, or the code of the failure.

        Each step has an end, whether or not it lets itself be cancelled.
        """
        aborted = self.live.aborted
        try:
            reply = await within(self._limits.run_seconds, self._answer(), stop=aborted)
            if isinstance(reply, _Paused):
                await within(STORE_SECONDS, self._journal.pause(reply.waiting, reply.loop), stop=aborted)
                return RunState.REQUIRES_ACTION
            await within(STORE_SECONDS, self._journal.complete(reply), stop=aborted)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the last frame of a task nobody awaits
            end = await self._journal.fail(self._failure(error))
            if isinstance(end, ServiceError):
                return end.code
            return RunState.REQUIRES_ACTION if isinstance(end, Waiting) else RunState.COMPLETED
        return "completed"

    async def _answer(self) -> "Reply | _Paused":
        telling = Telling(self._journal)
        if self._resumed:
            loop = await self._resume(self._resumed, telling)
            said = await loop.resume(self._resumed.decisions)
        else:
            loop = await begin_loop(self._turn, self._means, telling)
            said = await loop.run()
        if isinstance(said, Said):
            return self._reply(loop.state, said)
        expires_at = from_ms(to_ms(now()) + self._means.pauses.approval_ms)
        waiting = Waiting(self._turn.run_id, self._turn.conversation_id, said, expires_at)
        return _Paused(waiting, laid_down(self._turn, loop.state))

    async def _resume(self, resumed: Resumed, telling: Telling) -> Loop:
        """With the agent and its tools as they are now, and with the rights of whoever decided last."""
        decisions = [{"call_id": call_id, **asdict(one)} for call_id, one in decided(resumed).items()]
        await telling.tell(RESUMED, {"decisions": decisions})
        agent = await self._means.agents.get(self._turn.agent.id, token=self._turn.token)
        chosen = await self._means.choice.of(self._turn.model)
        return await pick_up(replace(self._turn, agent=agent), self._means.within(chosen.budget), telling, resumed)

    def _reply(self, state: LoopState, said: Said) -> Reply:
        refusal = said.completion.refusal
        return Reply(
            run_id=self._turn.run_id,
            conversation_id=self._turn.conversation_id,
            message=self._turn.answer(said.text or refusal or "", state.sources),
            model=said.completion.model or self._turn.model,
            finish_reason=REFUSAL if refusal else said.completion.finish_reason,
            usage=state.spent.usage,
            warnings=state.warnings,
            tool_calls=said.completion.tool_calls,
            estimate=self._estimate(state.spent.usage),
        )

    def _estimate(self, counted: Usage | None) -> Usage | None:
        """What was used, where a caller is told and the provider has not counted all of it."""
        meter = current_meter()
        if not self._turn.given or meter is None:
            return None
        used = total_of(meter.all)
        told = (used.prompt_tokens, used.completion_tokens)
        return None if counted and (counted.prompt_tokens, counted.completion_tokens) == told else used

    async def note_used(self, meter: Meter) -> None:
        """Keep what it has used so far. Raises Unavailable."""
        await self._means.notes.note(self._turn, meter)

    async def _keep_lease(self) -> None:
        """Keep the conversation claimed. One try that fails is none: the next takes it again, if nobody else has it."""
        every = self._limits.lease_seconds / 3
        retry = min(every, RENEW_AGAIN_SECONDS)
        await keep(self._renew_lease, log=_log, every_seconds=every, retry_seconds=retry, pauses_first=True)

    async def _renew_lease(self) -> None:
        """Abort the run when the conversation is no longer its own."""
        held = await self._means.repository.renew(self._turn)
        if held != "ok":
            self.live.abort(ConversationNotFound() if held == "gone" else Interrupted())

    def _failure(self, error: BaseException) -> ServiceError:
        """The error that is shown; what nobody foresaw is logged here and shown as a bare 500."""
        match error:
            case ServiceError():
                return error
            case TimeoutError():
                return ModelTimeout()
            case asyncio.CancelledError():
                return Interrupted()
            case _:
                _log.error("unexpected error", exc_info=error, extra={"fields": {"run_id": self._turn.run_id}})
                return ServiceError()
