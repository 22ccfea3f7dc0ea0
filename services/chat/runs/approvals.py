"""Has people decide on calls, and goes on with a run when all of its calls are decided."""

from typing import Literal

from services.chat.domain import Decision, Owner, Run
from services.chat.errors import AgentNotFound, ApprovalExpired, ModelUnknown
from services.chat.events import Done
from services.chat.runs.execution import Execution
from services.chat.runs.journal import patiently
from services.chat.runs.launching import launch
from services.chat.runs.laying import measured_of, prompt_tokens_of, turn_of
from services.chat.runs.means import Means
from services.chat.runs.pauses import Lying, Resumed
from services.chat.runs.supervisor import Supervisor
from services.chat.usage.budgets import Budgets
from shared.identity import Caller, Tells
from shared.schemas import new_id


class ApprovalService:
    """The use case of a call that waits."""

    def __init__(self, means: Means, supervisor: Supervisor, budgets: Budgets, auth: Tells) -> None:
        self._means, self._supervisor, self._budgets, self._auth = means, supervisor, budgets, auth

    async def decide(self, caller: Caller, run_id: str, call_id: str, decision: Decision) -> Run:
        """The run, which goes on here if this was the last word it waited for.

        Whether it can go on is asked first: where there is no place, no budget or no agent to be had, the last decision
        is not kept, and the run waits on. Raises RunNotFound, CallNotFound, CallDecided, RunEnded, ApprovalExpired,
        TokensUsedUp, ShareTaken, Overloaded, and what AgentDirectory, Tools.open and Choice raise.
        """
        owner = Owner.of(caller)
        lying = await self._means.pauses.look(owner, run_id, call_id)
        try:
            # One that was not the last may have become so meanwhile.
            if lying.is_last or await self._kept(owner, run_id, call_id, decision, lying) == "last":
                await self._go_on(caller, run_id, call_id, decision, lying)
        except ApprovalExpired:
            await self._means.repository.end_if_abandoned(owner, run_id, lying.conversation_id)
            raise
        done = Done.CALL_APPROVED if decision.approve else Done.CALL_DENIED
        self._auth.tell(caller, done, run_id, once=f"{run_id}:{call_id}{lying.again}")
        return await self._means.repository.get(owner, run_id)

    async def _kept(
        self, owner: Owner, run_id: str, call_id: str, decision: Decision, lying: Lying, claim: str | None = None
    ) -> Resumed | Literal["kept", "last"]:
        return await self._means.pauses.decide(owner, run_id, call_id, decision, lying.conversation_id, claim)

    async def _go_on(self, caller: Caller, run_id: str, call_id: str, decision: Decision, lying: Lying) -> None:
        """Keep the last decision, and have the run executed here."""
        owner = Owner.of(caller)
        with self._supervisor.admission(owner) as admission:
            tokens = await self._tokens_at_most(caller, run_id, lying)
            # Of its own even where the same is said twice: a name is settled once, and one of the two settles nothing.
            reservation = await self._budgets.reserve(caller, f"{run_id}:{new_id()}", tokens)
            async with reservation.given_back_on_error():
                claim = new_id()  # said again where Redis' answer is lost: a run that went on would be nobody's
                answer = await patiently(lambda: self._kept(owner, run_id, call_id, decision, lying, claim))
            if isinstance(answer, Resumed):
                execution = Execution(turn_of(caller, answer), self._means, answer)
                launch(execution, admission, reservation, measured_of(answer))
            else:
                await reservation.settle(0)

    async def _tokens_at_most(self, caller: Caller, run_id: str, lying: Lying) -> int:
        """About what its next generation takes, once everything is there that it goes on with.

        An agent or a model that is gone for good keeps nobody waiting: the run goes on, and says so with its end.
        """
        try:
            agent = await self._means.agents.get(lying.agent_id, token=caller.token)
            chosen = await self._means.choice.of(lying.model)
            await self._means.tools.open(agent, token=caller.token)
        except (AgentNotFound, ModelUnknown):
            return 0
        loop = await self._means.pauses.loop_of(Owner.of(caller), run_id)
        prompt = prompt_tokens_of(loop) if loop else 0
        return min(prompt, chosen.budget.total) + chosen.model.limits.answer_tokens
