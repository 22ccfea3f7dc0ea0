"""Starts turns, and opens the events of those that were started before."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from services.chat.domain import Agent, Owner, Turn
from services.chat.errors import RunActive
from services.chat.images.domain import Image
from services.chat.images.errors import ModelWithoutEyes
from services.chat.models.choice import Chosen
from services.chat.ports import AgentDirectory
from services.chat.prompt import require_fit
from services.chat.runs.beginning import Begun, KeyTaken, RunKey, TurnChanged
from services.chat.runs.control import RunControl
from services.chat.runs.execution import Execution
from services.chat.runs.launching import launch, launch_in_turn
from services.chat.runs.live import LiveRun
from services.chat.runs.means import Means
from services.chat.runs.schemas import MessageCreate, OnBusy, Regenerate
from services.chat.runs.stored import StoredRun
from services.chat.runs.supervisor import Admission, Supervisor
from services.chat.runs.waiting_room import WaitingRoom
from services.chat.usage.budgets import Budgets, Reservation, tokens_at_most
from shared.door import Once
from shared.errors import Conflict
from shared.identity import Caller

Run = LiveRun | StoredRun
_INTERRUPTIONS = 5  # of others who interrupt at the same time
_CHANGING = "The conversation is being changed by others; try again."


@dataclass(frozen=True, slots=True)
class Prepared:
    """A turn, which model answers it, and about how many tokens that takes at most."""

    turn: Turn
    chosen: Chosen
    tokens: int


Prepare = Callable[[], Awaitable[Prepared]]


class RunService:
    """The use cases of a turn."""

    def __init__(
        self,
        agents: AgentDirectory,
        means: Means,
        supervisor: Supervisor,
        control: RunControl,
        room: WaitingRoom,
        budgets: Budgets,
        *,
        heartbeat_seconds: float,
    ) -> None:
        self._agents, self._means, self._supervisor, self._control = agents, means, supervisor, control
        self._room, self._budgets = room, budgets
        self._heartbeat_seconds = heartbeat_seconds

    async def start(self, caller: Caller, body: MessageCreate, once: Once | None = None) -> Run:
        """Keep the message and begin to answer it, or have it wait for its turn where the caller wants that. When this
        returns, the run goes on whoever listens.

        A repetition of `once` is given the run that was begun for it, unless that failed and there is no answer to
        give: then it begins another. A stream is given a run that failed too, since it tells so.

        Raises AgentNotFound, ModelUnknown, MessageTooLong, TokensUsedUp, ConversationNotFound,
        ConversationOfOtherAgent, RunActive, QueueFull, ConversationFull, TooManyConversations, KeptTooMuch,
        ShareTaken, Overloaded; then nothing was kept. For a repetition IdempotencyKeyReused, and RunNotFound where its
        conversation was deleted.
        """
        return await self._once(caller, once, partial(self._begin, caller, body), tells_failure=body.stream)

    async def regenerate(self, caller: Caller, conversation_id: str, body: Regenerate, once: Once | None) -> Run:
        """Begin to answer the last message of the conversation anew; the answer it had is gone. As `start` otherwise.

        Raises ConversationNotFound, NothingToAnswer, AgentNotFound, ModelUnknown, MessageTooLong, TokensUsedUp,
        RunActive, ShareTaken, Overloaded, ModelWithoutEyes for a message that shows images, and Conflict when others
        keep changing the conversation; then all is as it was.
        """
        begin = partial(self._begin_prepared, caller, partial(self._again, caller, conversation_id, body))
        return await self._once(caller, once, begin, tells_failure=body.stream)

    async def start_given(self, caller: Caller, prepare: Prepare, once: Once | None, *, tells_failure: bool) -> Run:
        """Begin the turn that `prepare` makes, whose caller gives all that it is told. As `start` otherwise; raises
        what `prepare` does, and TokensUsedUp, ShareTaken, Overloaded. In a conversation it is prepared again where that
        has changed; then also ConversationNotFound, RunActive, ConversationFull, KeptTooMuch, Conflict."""
        begin = partial(self._begin_prepared, caller, prepare)
        return await self._once(caller, once, begin, tells_failure=tells_failure)

    async def _once(
        self,
        caller: Caller,
        once: Once | None,
        begin: Callable[[RunKey | None], Awaitable[LiveRun]],
        *,
        tells_failure: bool,
    ) -> Run:
        if once is None:
            return await begin(None)
        while True:
            begun = await self._means.repository.find_begun(Owner.of(caller), once.digest)
            if begun and (earlier := await self._earlier(caller, begun, once, tells_failure=tells_failure)):
                return earlier
            try:
                return await begin(RunKey(once.digest, once.of, begun.stored if begun else b""))
            except KeyTaken:  # by the same request, whose claim had lapsed
                continue

    async def _earlier(self, caller: Caller, begun: Begun, once: Once, *, tells_failure: bool) -> Run | None:
        """The run that answers the repetition too."""
        once.found(begun.of)
        run = await self._control.find(Owner.of(caller), begun.run_id)
        if isinstance(run, StoredRun) and not tells_failure and await run.is_failed():
            once.is_repetition = False
            return None
        return run

    async def _begin(self, caller: Caller, body: MessageCreate, key: RunKey | None) -> LiveRun:
        may_wait = body.on_busy is OnBusy.ENQUEUE and body.conversation_id is not None
        with self._supervisor.admission(Owner.of(caller), may_wait=may_wait) as admission:
            agent, chosen = await self._asked(caller, body.agent_id, body.content, ())
            turn = Turn.begun(
                caller,
                agent,
                body.content,
                body.conversation_id,
                default_model=chosen.model.name,
                response_schema=body.response_schema,
                metadata=body.metadata,
            )
            waits_seconds = self._room.seconds if may_wait else 0.0
            made = _prepared(turn, chosen)
            execution, reservation = await self._execution(caller, made, waits_seconds=waits_seconds)
            async with reservation.given_back_on_error():
                has_begun = await self._claim(caller, body, execution, admission, key)
            if has_begun:
                launch(execution, admission, reservation)
            else:
                launch_in_turn(execution, admission, reservation, self._room, caller)
        return execution.live

    async def _begin_prepared(self, caller: Caller, prepare: Prepare, key: RunKey | None) -> LiveRun:
        """Raises Conflict when others keep changing the conversation."""
        with self._supervisor.admission(Owner.of(caller)) as admission:
            for _ in range(_INTERRUPTIONS):
                execution, reservation = await self._execution(caller, await prepare())
                try:
                    async with reservation.given_back_on_error():
                        await execution.begin(key)
                except TurnChanged:
                    continue
                launch(execution, admission, reservation)
                return execution.live
        raise Conflict(_CHANGING)

    async def _again(self, caller: Caller, conversation_id: str, body: Regenerate) -> Prepared:
        last = await self._means.repository.last_turn(Owner.of(caller), conversation_id)
        agent, chosen = await self._asked(caller, last.agent_id, last.question.content, last.question.images)
        turn = Turn.again(
            caller,
            agent,
            conversation_id,
            last,
            default_model=chosen.model.name,
            response_schema=body.response_schema,
        )
        return _prepared(turn, chosen)

    async def _asked(
        self, caller: Caller, agent_id: str, content: str, images: Sequence[Image]
    ) -> tuple[Agent, Chosen]:
        """Who is to answer, and with which model.

        Raises AgentNotFound, ModelUnknown, ModelWithoutEyes, MessageTooLong.
        """
        agent = await self._agents.get(agent_id, token=caller.token)
        chosen = await self._means.choice.of(agent.model or self._means.default_model)
        if images and not chosen.budget.eyes:
            raise ModelWithoutEyes
        require_fit(agent, content, chosen.budget, images)
        return replace(agent, model=chosen.model.name), chosen

    async def _execution(
        self, caller: Caller, made: Prepared, *, waits_seconds: float = 0.0
    ) -> tuple[Execution, Reservation]:
        """The turn, and what it may use. Raises TokensUsedUp."""
        reservation = await self._budgets.reserve(caller, made.turn.run_id, made.tokens, waits_seconds=waits_seconds)
        return Execution(made.turn, self._means.within(made.chosen.budget)), reservation

    async def _claim(
        self, caller: Caller, body: MessageCreate, execution: Execution, admission: Admission, key: RunKey | None
    ) -> bool:
        """Begin, or wait (False), or begin in place of what is being answered, as the caller wants.

        Raises RunActive otherwise.
        """
        for _ in range(_INTERRUPTIONS):
            try:
                if not admission.is_waiting:
                    await execution.begin(key)
                    return True
            except RunActive:
                if body.conversation_id is None or body.on_busy is OnBusy.REJECT:
                    raise
            if body.on_busy is OnBusy.ENQUEUE:
                admission.wait()
                await execution.enqueue(key)
                return False
            if body.conversation_id is not None:
                await self._control.clear(caller, body.conversation_id)
        raise RunActive

    def follow(self, run: Run) -> AsyncIterator[bytes]:
        """The events of a run, from its first."""
        return run.follow(self._heartbeat_seconds)


def _prepared(turn: Turn, chosen: Chosen) -> Prepared:
    question, has_history = turn.question, not turn.is_new_conversation
    tokens = tokens_at_most(turn.agent, question.content, chosen, images=question.images, has_history=has_history)
    return Prepared(turn, chosen, tokens)
