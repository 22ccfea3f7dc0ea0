"""How a question with all of its history becomes a run, and how that ends when whoever asked has left."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from services.chat.domain import Agent, Owner, Turn
from services.chat.given import Given
from services.chat.given_prompt import require_given_fit
from services.chat.models.choice import Chosen
from services.chat.prompt import tokens_of_tools
from services.chat.runs.control import RunControl
from services.chat.runs.live import LiveRun
from services.chat.runs.service import Prepared, Run
from shared.errors import Unavailable
from shared.identity import Caller

_log = logging.getLogger("chat.dialogue")


def prepared(
    caller: Caller,
    speaker: tuple[Agent, Chosen],
    given: Given,
    question: str,
    response_schema: Mapping[str, Any] | None,
    conversation_id: str | None = None,
) -> Prepared:
    """The turn in which the speaker answers what is given, of no conversation but where one is named. Raises
    PromptTooLong."""
    agent, chosen = speaker
    turn = Turn.begun(
        caller,
        agent,
        question,
        conversation_id,
        default_model=chosen.model.name,
        response_schema=response_schema,
    )
    return Prepared(replace(turn, given=given), chosen, _tokens_at_most(agent, given, chosen))


def _tokens_at_most(agent: Agent, given: Given, chosen: Chosen) -> int:
    """About what one generation takes at most. Raises PromptTooLong."""
    budget, most = chosen.budget, chosen.model.limits.answer_tokens
    prompt = require_given_fit(agent, given, budget) + tokens_of_tools(given.offered, budget.vocabulary)
    prompt += budget.sources if agent.knowledge or given.searched else 0
    return min(prompt, budget.total) + min(most, given.answer_tokens or most)


class Leavers:
    """Ends runs whose clients have gone."""

    def __init__(self, control: RunControl) -> None:
        self._control = control
        self._leaving = set[asyncio.Task[None]]()

    def leave(self, caller: Caller, run: Run) -> None:
        """End it, behind whoever says so; not one that was begun before its client came."""
        if not isinstance(run, LiveRun):
            return
        task = asyncio.create_task(self._left(Owner.of(caller), run))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _left(self, owner: Owner, run: LiveRun) -> None:
        try:
            await self._control.leave(owner, run.id, run.conversation_id)
        except Unavailable as error:  # it goes on to its end, for nobody
            _log.warning("not left", extra={"fields": {"run_id": run.id, "cause": repr(error.__cause__)}})
