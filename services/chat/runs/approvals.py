"""Has people decide on calls, and goes on with a run when all of its calls are decided."""

from services.chat.domain import Decision, Owner, Run
from services.chat.errors import ApprovalExpired, RunNotFound
from services.chat.events import Done
from services.chat.runs.execution import Execution
from services.chat.runs.launching import launch
from services.chat.runs.laying import measured_of, turn_of
from services.chat.runs.means import Means
from services.chat.runs.pauses import Resumed
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

        Whether it can go on is asked first: a process that is full keeps no decision. Raises RunNotFound, CallNotFound,
        CallDecided, RunEnded, ApprovalExpired, TokensUsedUp, ShareTaken, Overloaded.
        """
        owner, repository = Owner.of(caller), self._means.repository
        conversation_id = await repository.find_conversation_of(owner, run_id)
        if conversation_id is None:
            raise RunNotFound
        with self._supervisor.admission(owner) as admission:
            # Of its own even where the same is said twice: a name is settled once, and one of the two settles nothing.
            reservation = await self._budgets.reserve(caller, f"{run_id}:{new_id()}", 0)
            async with reservation.given_back_on_error():
                try:
                    answer = await self._means.pauses.decide(owner, run_id, conversation_id, call_id, decision)
                except ApprovalExpired:
                    await repository.end_if_abandoned(owner, run_id, conversation_id)
                    raise
            if isinstance(answer, Resumed):
                execution = Execution(turn_of(caller, answer), self._means, answer)
                launch(execution, admission, reservation, measured_of(answer))
            else:
                await reservation.settle(0)
        done = Done.CALL_APPROVED if decision.approve else Done.CALL_DENIED
        self._auth.tell(caller, done, run_id, once=f"{run_id}:{call_id}")
        return await repository.get(owner, run_id)
