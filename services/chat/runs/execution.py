"""Answers a turn: searches, asks the model, stores the answer — or tells why not. Nobody need be listening."""

import asyncio
import logging
import time
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from services.chat.domain import Evidence, Prompt, Reply, Turn
from services.chat.errors import (
    ContextExceeded,
    ConversationNotFound,
    Interrupted,
    ModelRefused,
    ModelTimeout,
    ModelUnavailable,
)
from services.chat.generation import Ask, Completion
from services.chat.instruments import Instruments
from services.chat.ports import LanguageModel
from services.chat.prompt import PromptBudget, build_prompt
from services.chat.retrieval import Retriever
from services.chat.runs.beginning import RunKey
from services.chat.runs.coalescing import Coalesced
from services.chat.runs.events import DELTA, RETRIEVED, retrieved
from services.chat.runs.journal import STORE_SECONDS, Journal
from services.chat.runs.live import LiveRun
from services.chat.runs.repository import RunRepository
from services.chat.settings import Settings
from shared.ending import within
from shared.errors import ServiceError
from shared.loops import in_background, keep

_log = logging.getLogger("chat.runs")


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Bounds of one run."""

    run_seconds: float
    lease_seconds: float
    delta_window_seconds: float
    history_messages: int
    budget: PromptBudget

    @classmethod
    def of(cls, settings: Settings) -> "RunLimits":
        return cls(
            run_seconds=settings.run_seconds,
            lease_seconds=settings.run_lease_seconds,
            delta_window_seconds=settings.delta_window_ms / 1000,
            history_messages=settings.history_messages,
            budget=PromptBudget.of(settings),
        )


@dataclass(frozen=True, slots=True)
class Means:
    """What it takes to answer a turn, the same for all of them."""

    repository: RunRepository
    retriever: Retriever
    model: LanguageModel
    default_model: str
    limits: RunLimits
    instruments: Instruments


class Execution:
    """One turn on its way to its answer: `begin`, then `run`; `live` is for those who follow it."""

    def __init__(self, turn: Turn, means: Means) -> None:
        self._turn, self._means, self._limits = turn, means, means.limits
        self.live = LiveRun(turn.run_id, turn.conversation_id)
        self._journal = Journal(means.repository, turn, self.live)

    async def begin(self, key: RunKey | None = None) -> None:
        """Claim the conversation and keep the question. Raises what RunRepository.start raises."""
        await self._journal.begin(key)

    async def run(self) -> None:
        """Answer the turn. Never raises: the outcome is in `live`, which has then ended."""
        started_at = time.perf_counter()
        async with in_background(self._keep_lease()):
            outcome = await self._outcome()
        self._means.instruments.run_ended(self._turn, outcome, time.perf_counter() - started_at)

    async def _outcome(self) -> str:
        """`completed`, or the code of the failure. Each step has an end, whether or not it lets itself be cancelled."""
        aborted = self.live.aborted
        try:
            reply = await within(self._limits.run_seconds, self._answer(), stop=aborted)
            await within(STORE_SECONDS, self._journal.complete(reply), stop=aborted)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the last frame of a task nobody awaits
            end = await self._journal.fail(self._failure(error))
            return end.code if isinstance(end, ServiceError) else "completed"
        return "completed"

    async def _answer(self) -> Reply:
        evidence = await self._retrieve()
        history = await self._means.repository.history(self._turn, self._limits.history_messages)
        prompt = partial(build_prompt, self._turn.agent, self._turn.question.content, evidence.passages, history)
        try:
            return await self._generate(prompt(self._limits.budget), evidence)
        except ContextExceeded:  # lengths are estimates: once more with less around the question
            smaller = self._limits.budget.halved()
        try:
            return await self._generate(prompt(smaller), evidence)
        except ContextExceeded as error:
            raise ModelRefused("The prompt is longer than the model's window.") from error

    async def _retrieve(self) -> Evidence:
        turn = self._turn
        evidence = await self._means.retriever.retrieve(turn.agent, turn.question.content, token=turn.token)
        await self._journal.write(RETRIEVED, retrieved(evidence))
        return evidence

    async def _generate(self, prompt: Prompt, evidence: Evidence) -> Reply:
        started_at = time.perf_counter()
        generation = Coalesced(
            self._means.model.generate(Ask(self._turn.model, prompt.messages)), self._limits.delta_window_seconds
        )
        pieces: list[str] = []
        async with aclosing(generation.pieces()) as stream:
            async for piece in stream:
                if not pieces:
                    self._means.instruments.first_token.observe(time.perf_counter() - started_at)
                pieces.append(piece)
                await self._journal.write(DELTA, {"content": piece})
        if generation.completion is None:
            raise ModelUnavailable
        return self._reply(prompt, "".join(pieces), generation.completion, evidence)

    def _reply(self, prompt: Prompt, text: str, completion: Completion, evidence: Evidence) -> Reply:
        return Reply(
            run_id=self._turn.run_id,
            conversation_id=self._turn.conversation_id,
            message=self._turn.answer(text, prompt.sources),
            model=self._turn.model,
            finish_reason=completion.finish_reason,
            usage=completion.usage,
            warnings=evidence.warnings,
        )

    async def _keep_lease(self) -> None:
        """Keep the conversation claimed. One try that fails is none: the next takes it again, if nobody else has it."""
        every = self._limits.lease_seconds / 3
        await keep(self._renew_lease, log=_log, every_seconds=every, retry_seconds=every, pauses_first=True)

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
