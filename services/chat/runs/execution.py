"""Answers a turn: searches, asks the model, stores the answer — or tells why not. Nobody need be listening."""

import asyncio
import logging
import time
from typing import Final

from services.chat.domain import Reply, Turn
from services.chat.errors import ConversationNotFound, Interrupted, ModelTimeout
from services.chat.runs.generating import Said
from services.chat.runs.journal import STORE_SECONDS, Journal
from services.chat.runs.live import LiveRun
from services.chat.runs.loop import begin_loop
from services.chat.runs.means import Means
from services.chat.runs.repository import RunKey
from services.chat.runs.state import LoopState
from services.chat.runs.telling import Telling
from shared.ending import within
from shared.errors import ServiceError
from shared.loops import in_background, keep

REFUSAL: Final = "refusal"
"""The `finish_reason` of an answer that is the model's word that it will not answer."""
_log = logging.getLogger("chat.runs")


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
        loop = await begin_loop(self._turn, self._means, Telling(self._journal))
        return self._reply(loop.state, await loop.run())

    def _reply(self, state: LoopState, said: Said) -> Reply:
        refusal = said.completion.refusal
        return Reply(
            run_id=self._turn.run_id,
            conversation_id=self._turn.conversation_id,
            message=self._turn.answer(said.text or refusal or "", state.sources),
            model=self._turn.model,
            finish_reason=REFUSAL if refusal else said.completion.finish_reason,
            usage=state.spent.usage,
            warnings=state.warnings,
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
