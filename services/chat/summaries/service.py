"""Makes a summary when turns have gone that the last one does not have, by the model that answers."""

import logging
from collections.abc import Sequence
from contextlib import aclosing

from services.chat.domain import Turn
from services.chat.errors import AnswerEmpty, ContextExceeded
from services.chat.generation import Completion, Usage
from services.chat.past import Exchange
from services.chat.ports import LanguageModel
from services.chat.prompt import PromptBudget, summary_text
from services.chat.summaries.asking import summary_ask
from services.chat.summaries.domain import Summary, pending
from services.chat.summaries.repository import SummaryRepository
from shared.ending import within
from shared.errors import ServiceError

_log = logging.getLogger("chat.summaries")


class Summaries:
    """The summaries of all conversations. No method raises what Redis or a model does: a turn goes on without one."""

    def __init__(self, repository: SummaryRepository, model: LanguageModel, seconds: float) -> None:
        """`seconds` is the longest that a turn waits for its summary."""
        self._repository, self._model, self._seconds = repository, model, seconds

    async def of(
        self, turn: Turn, exchanges: Sequence[Exchange], given: int, budget: PromptBudget
    ) -> tuple[str, Usage | None]:
        """What is told of the conversation before its newest `given` exchanges, and what making it has used up.

        `exchanges` are those that were looked at, oldest first. Where it cannot be made it is the last one, which lacks
        what has gone since, or empty.
        """
        known: Summary | None = None
        usage: Usage | None = None
        try:
            known = await self._repository.find(turn.owner, turn.conversation_id)
            if taken_up := pending(exchanges, known, given):
                known, usage = await self._made(turn, known, taken_up, budget)
                await self._repository.keep(turn.owner, turn.conversation_id, known)
        except (ServiceError, ContextExceeded, TimeoutError) as error:
            code = getattr(error, "code", type(error).__name__)
            _log.warning("history not summarised", extra={"fields": {**turn.ids, "code": code}})
        return known.text if known else "", usage

    async def _made(
        self, turn: Turn, known: Summary | None, exchanges: Sequence[Exchange], budget: PromptBudget
    ) -> tuple[Summary, Usage | None]:
        pieces, completion = await within(self._seconds, self._generated(turn, known, exchanges, budget))
        text = summary_text("".join(pieces), budget)
        if completion is None or not text:
            raise AnswerEmpty(completion.finish_reason if completion else "stop", has_thought=False)
        return Summary(text, exchanges[-1][1].id), completion.usage

    async def _generated(
        self, turn: Turn, known: Summary | None, exchanges: Sequence[Exchange], budget: PromptBudget
    ) -> tuple[list[str], Completion | None]:
        pieces, completion = list[str](), None
        async with aclosing(self._model.generate(summary_ask(turn.model, known, exchanges, budget))) as items:
            async for item in items:
                if isinstance(item, Completion):
                    completion = item
                elif isinstance(item, str):
                    pieces.append(item)
        return pieces, completion
