"""Questions with all of their history, answered by runs as messages of conversations are."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from services.chat.completions.schemas import CompletionCreate
from services.chat.completions.speakers import Offered, Speakers
from services.chat.completions.streaming import Asked
from services.chat.completions.telling import Told, told
from services.chat.completions.translating import form_of, given_of, question_of
from services.chat.domain import Agent, Owner, Turn
from services.chat.given import Given
from services.chat.given_prompt import require_given_fit
from services.chat.models.choice import Chosen
from services.chat.prompt import tokens_of_tools
from services.chat.runs.control import RunControl
from services.chat.runs.live import LiveRun
from services.chat.runs.service import Prepared, Run, RunService
from shared.door import Once
from shared.errors import Unavailable
from shared.identity import Caller

_log = logging.getLogger("chat.completions")


@dataclass(frozen=True, slots=True)
class Completion:
    """A run that answers, and how that is wanted."""

    run: Run
    asked: Asked
    events: AsyncIterator[Told | None]


class CompletionService:
    """The use cases of completions."""

    def __init__(self, runs: RunService, control: RunControl, speakers: Speakers) -> None:
        self._runs, self._control, self._speakers = runs, control, speakers
        self._leaving = set[asyncio.Task[None]]()

    async def start(self, caller: Caller, body: CompletionCreate, once: Once | None) -> Completion:
        """Begin to answer. As RunService.start for whoever repeats it.

        Raises ModelNotFound, PromptTooLong, and what RunService.start does of a new conversation.
        """
        prepare = partial(self._prepared, caller, body)
        run = await self._runs.start_given(caller, prepare, once, tells_failure=body.stream)
        options = body.stream_options
        asked = Asked(
            run_id=run.id,
            model=body.model,
            includes_usage=bool(options and options.include_usage),
            is_held=form_of(body) is not None,
        )
        return Completion(run, asked, told(self._runs.follow(run)))

    async def _prepared(self, caller: Caller, body: CompletionCreate) -> Prepared:
        agent, chosen = await self._speakers.find(caller, body.model)
        given = given_of(body, chosen.budget)
        turn = Turn.begun(
            caller,
            agent,
            question_of(body.messages),
            None,
            default_model=chosen.model.name,
            response_schema=form_of(body),
        )
        return Prepared(replace(turn, given=given), chosen, _tokens_at_most(agent, given, chosen))

    def leave(self, caller: Caller, run: Run) -> None:
        """End a run whose client has gone, behind whoever says so; not one that was begun before it came."""
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

    async def list_models(self, caller: Caller) -> tuple[Sequence[Offered], bool]:
        """All that the caller may ask, and whether some are left out."""
        return await self._speakers.list_all(caller)

    async def get_model(self, caller: Caller, name: str) -> Offered:
        """Raises ModelNotFound."""
        return await self._speakers.describe(caller, name)


def _tokens_at_most(agent: Agent, given: Given, chosen: Chosen) -> int:
    """About what one generation takes at most. Raises PromptTooLong."""
    budget, most = chosen.budget, chosen.model.limits.answer_tokens
    prompt = require_given_fit(agent, given, budget) + tokens_of_tools(given.offered, budget.vocabulary)
    prompt += budget.sources if agent.knowledge else 0
    return min(prompt, budget.total) + min(most, given.answer_tokens or most)
