"""What it takes to answer a turn, the same for all of them, and the bounds of one."""

from dataclasses import dataclass, replace

from services.chat.instruments import Instruments
from services.chat.models.choice import Choice
from services.chat.ports import AgentDirectory, LanguageModel
from services.chat.prompt import PromptBudget
from services.chat.retrieval import Retriever
from services.chat.runs.delegates import Delegates
from services.chat.runs.journal import Joined, nothing_joined
from services.chat.runs.pauses import PauseRepository
from services.chat.runs.queue import QueueRepository
from services.chat.runs.repository import RunRepository
from services.chat.settings import Settings
from services.chat.summaries.service import Summaries
from services.chat.tools.toolbox import Tools
from services.chat.usage.notes import UsageNotes


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Bounds of one run."""

    run_seconds: float
    lease_seconds: float
    delta_window_seconds: float
    history_messages: int
    budget: PromptBudget
    tool_steps: int = 8
    tool_calls_at_once: int = 8

    @classmethod
    def of(cls, settings: Settings) -> "RunLimits":
        return cls(
            run_seconds=settings.run_seconds,
            lease_seconds=settings.run_lease_seconds,
            delta_window_seconds=settings.delta_window_ms / 1000,
            history_messages=settings.history_messages,
            budget=PromptBudget.of(settings),
            tool_steps=settings.tool_steps,
            tool_calls_at_once=settings.tool_calls_at_once,
        )


@dataclass(frozen=True, slots=True)
class Means:
    """What a turn is answered with."""

    agents: AgentDirectory
    repository: RunRepository
    pauses: PauseRepository
    queue: QueueRepository
    retriever: Retriever
    summaries: Summaries
    notes: UsageNotes
    model: LanguageModel
    choice: Choice
    tools: Tools
    limits: RunLimits
    instruments: Instruments
    delegates: Delegates
    joined: Joined = nothing_joined

    @property
    def default_model(self) -> str:
        """For agents that name none."""
        return self.choice.default_model

    def within(self, budget: PromptBudget) -> "Means":
        """The same, with prompts of this budget."""
        return replace(self, limits=replace(self.limits, budget=budget))
