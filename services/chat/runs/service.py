"""Starts turns, and opens the events of those that were started before."""

from collections.abc import AsyncIterator

from services.chat.domain import Owner, Turn
from services.chat.errors import RunNotFound
from services.chat.ports import AgentDirectory
from services.chat.prompt import require_fit
from services.chat.runs.execution import Execution, Means
from services.chat.runs.live import LiveRun
from services.chat.runs.schemas import MessageCreate
from services.chat.runs.stored import StoredRun
from services.chat.runs.supervisor import Supervisor
from shared.identity import Caller


class RunService:
    """The use cases of a turn."""

    def __init__(
        self, agents: AgentDirectory, means: Means, supervisor: Supervisor, *, heartbeat_seconds: float
    ) -> None:
        self._agents, self._means, self._supervisor = agents, means, supervisor
        self._heartbeat_seconds = heartbeat_seconds

    async def start(self, caller: Caller, body: MessageCreate) -> LiveRun:
        """Keep the message and begin to answer it. When this returns, the run goes on whoever listens.

        Raises AgentNotFound, MessageTooLong, ConversationNotFound, ConversationOfOtherAgent, RunActive,
        ConversationFull, TooManyConversations, Overloaded; then nothing was kept.
        """
        with self._supervisor.admission() as admission:
            agent = await self._agents.get(body.agent_id, token=caller.token)
            require_fit(agent, body.content, self._means.limits.budget)
            turn = Turn.begun(caller, agent, body.content, body.conversation_id)
            execution = Execution(turn, self._means)
            await execution.begin()
            admission.launch(execution.live, execution.run())
        return execution.live

    def follow(self, live: LiveRun) -> AsyncIterator[bytes]:
        """The events of a run that was just started."""
        return live.follow(self._heartbeat_seconds)

    async def reopen(self, caller: Caller, run_id: str) -> AsyncIterator[bytes]:
        """The events of an earlier run from its first, wherever it is executed. Raises RunNotFound."""
        owner, repository = Owner.of(caller), self._means.repository
        conversation_id = await repository.find_conversation_of(owner, run_id)
        if conversation_id is None:
            raise RunNotFound
        live = self._supervisor.find(run_id)
        run = live or StoredRun(repository, owner, run_id, conversation_id)
        return run.follow(self._heartbeat_seconds)
