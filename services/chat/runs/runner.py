"""Executes a turn: searches, asks the model, stores the answer — or tells why not. Nobody need be listening."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from services.chat.domain import Completion, Evidence, Message, Prompt, Reply, Turn
from services.chat.errors import (
    ContextExceeded,
    ConversationNotFound,
    Interrupted,
    ModelRefused,
    ModelTimeout,
    ModelUnavailable,
)
from services.chat.instruments import Instruments
from services.chat.ports import LanguageModel
from services.chat.prompt import PromptBudget, build_prompt, mark_references
from services.chat.retrieval import Retriever
from services.chat.runs.coalescing import Coalesced
from services.chat.runs.events import DELTA, RETRIEVED, retrieved
from services.chat.runs.journal import Journal
from services.chat.runs.live import LiveRun
from services.chat.runs.repository import RunRepository
from services.chat.times import now
from shared.errors import ServiceError, Unavailable
from shared.schemas import new_id

_log = logging.getLogger("chat.runs")


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Bounds of one run."""

    run_seconds: float
    lease_seconds: float
    delta_window_seconds: float
    history_messages: int
    budget: PromptBudget


class Runner:
    """Executes turns; holds nothing of any of them."""

    def __init__(
        self,
        repository: RunRepository,
        retriever: Retriever,
        model: LanguageModel,
        *,
        default_model: str,
        limits: RunLimits,
        instruments: Instruments,
    ) -> None:
        self._repository, self._retriever, self._model = repository, retriever, model
        self._default_model, self._limits, self._instruments = default_model, limits, instruments

    async def run(self, live: LiveRun, turn: Turn) -> None:
        """Answer `turn`. Never raises: the outcome is in `live`, which has then ended."""
        started_at = time.perf_counter()
        journal = Journal(self._repository, turn, live)
        outcome = "completed"
        try:
            async with self._leased(live, turn):
                async with asyncio.timeout(self._limits.run_seconds):
                    reply = await self._answer(turn, journal)
                await journal.complete(reply)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the last frame of a task nobody awaits
            failure = _failure(error, live)
            outcome = failure.code
            await journal.fail(failure)
        self._instruments.run_ended(turn, outcome, time.perf_counter() - started_at)

    @asynccontextmanager
    async def _leased(self, live: LiveRun, turn: Turn) -> AsyncIterator[None]:
        """Keep the conversation claimed throughout the block, and abort the run when it is lost."""
        keeping = asyncio.create_task(self._keep_lease(live, turn), name=f"lease:{turn.run_id}")
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep_lease(self, live: LiveRun, turn: Turn) -> None:
        while True:
            await asyncio.sleep(self._limits.lease_seconds / 3)
            try:
                held = await self._repository.renew(turn)
            except Unavailable:  # the next attempt takes it again, unless somebody else has it by then
                continue
            if held != "ok":
                live.abort(ConversationNotFound() if held == "gone" else Interrupted())
                return

    async def _answer(self, turn: Turn, journal: Journal) -> Reply:
        evidence = await self._retriever.retrieve(turn.agent, turn.question.content, token=turn.token)
        await journal.write(RETRIEVED, retrieved(evidence))
        history = await self._repository.history(turn, self._limits.history_messages)
        try:
            return await self._generate(turn, journal, evidence, history, self._limits.budget)
        except ContextExceeded:  # lengths are estimates: once more with less around the question
            smaller = self._limits.budget.halved()
        try:
            return await self._generate(turn, journal, evidence, history, smaller)
        except ContextExceeded as error:
            raise ModelRefused("The prompt is longer than the model's window.") from error

    async def _generate(
        self, turn: Turn, journal: Journal, evidence: Evidence, history: Sequence[Message], budget: PromptBudget
    ) -> Reply:
        prompt = build_prompt(turn.agent, turn.question.content, evidence.passages, history, budget)
        model = turn.agent.model or self._default_model
        started_at = time.perf_counter()
        generation = Coalesced(self._model.generate(prompt.messages, model), self._limits.delta_window_seconds)
        pieces: list[str] = []
        async with aclosing(generation.pieces()) as stream:
            async for piece in stream:
                if not pieces:
                    self._instruments.first_token.observe(time.perf_counter() - started_at)
                pieces.append(piece)
                await journal.write(DELTA, {"content": piece})
        return _reply(turn, prompt, "".join(pieces), model, generation.completion, evidence)


def _reply(
    turn: Turn, prompt: Prompt, text: str, model: str, completion: Completion | None, evidence: Evidence
) -> Reply:
    if completion is None:
        raise ModelUnavailable
    message = Message(
        id=new_id(),
        run_id=turn.run_id,
        role="assistant",
        content=text,
        citations=mark_references(prompt.sources, text),
        created_at=now(),
    )
    return Reply(
        run_id=turn.run_id,
        conversation_id=turn.conversation_id,
        message=message,
        model=model,
        finish_reason=completion.finish_reason,
        usage=completion.usage,
        warnings=evidence.warnings,
    )


def _failure(error: BaseException, live: LiveRun) -> ServiceError:
    """The error that is shown; what nobody foresaw is logged here and shown as a bare 500."""
    match error:
        case ServiceError():
            return error
        case TimeoutError():
            return ModelTimeout()
        case asyncio.CancelledError():
            return live.abort_reason or Interrupted()
        case _:
            _log.error("unexpected error", exc_info=error, extra={"fields": {"run_id": live.id}})
            return ServiceError()
