"""Starts turns, and opens the events of those that were started before."""

from collections.abc import AsyncIterator

from services.chat.domain import Message, Owner, Turn
from services.chat.errors import RunNotFound
from services.chat.ports import AgentDirectory
from services.chat.prompt import PromptBudget, require_fit
from services.chat.runs.events import started
from services.chat.runs.live import LiveRun
from services.chat.runs.repository import RunRepository
from services.chat.runs.runner import Runner
from services.chat.runs.schemas import MessageCreate
from services.chat.runs.stored import StoredRun
from services.chat.runs.supervisor import Supervisor
from services.chat.times import now
from shared.schemas import new_id


class RunService:
    """The use cases of a turn."""

    def __init__(
        self,
        agents: AgentDirectory,
        repository: RunRepository,
        runner: Runner,
        supervisor: Supervisor,
        *,
        budget: PromptBudget,
        heartbeat_seconds: float,
    ) -> None:
        self._agents, self._repository, self._runner, self._supervisor = agents, repository, runner, supervisor
        self._budget, self._heartbeat_seconds = budget, heartbeat_seconds

    async def start(self, owner: Owner, token: str, body: MessageCreate) -> LiveRun:
        """Keep the message and begin to answer it. When this returns, the run goes on whoever listens.

        Raises AgentNotFound, MessageTooLong, ConversationNotFound, ConversationOfOtherAgent, RunActive,
        ConversationFull, TooManyConversations, Overloaded; then nothing was kept.
        """
        with self._supervisor.admission() as admission:
            agent = await self._agents.get(body.agent_id, token=token)
            require_fit(agent, body.content, self._budget)
            run_id = new_id()
            turn = Turn(
                run_id=run_id,
                conversation_id=body.conversation_id or new_id(),
                is_new_conversation=body.conversation_id is None,
                owner=owner,
                agent=agent,
                question=Message(new_id(), run_id, "user", body.content, [], now()),
                token=token,
            )
            event = started(turn)
            await self._repository.start(turn, event)
            live = LiveRun(turn.run_id, turn.conversation_id)
            live.publish(event)
            admission.launch(live, self._runner.run(live, turn))
        return live

    def follow(self, live: LiveRun) -> AsyncIterator[bytes]:
        """The events of a run that was just started."""
        return live.follow(self._heartbeat_seconds)

    async def reopen(self, owner: Owner, run_id: str) -> AsyncIterator[bytes]:
        """The events of an earlier run from its first, wherever it is executed. Raises RunNotFound."""
        conversation_id = await self._repository.find_conversation_of(owner, run_id)
        if conversation_id is None:
            raise RunNotFound
        live = self._supervisor.find(run_id)
        run = live or StoredRun(self._repository, owner, run_id, conversation_id)
        return run.follow(self._heartbeat_seconds)
