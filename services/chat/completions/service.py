"""Questions with all of their history, answered by runs as messages of conversations are."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from services.chat.completions.schemas import CompletionCreate
from services.chat.completions.streaming import Asked
from services.chat.completions.translating import form_of, given_of, question_of
from services.chat.dialogue.beginning import prepared
from services.chat.dialogue.speakers import Offered, Speakers
from services.chat.dialogue.telling import Told, told
from services.chat.runs.service import Prepared, Run, RunService
from shared.door import Once
from shared.identity import Caller


@dataclass(frozen=True, slots=True)
class Completion:
    """A run that answers, and how that is wanted."""

    run: Run
    asked: Asked
    events: AsyncIterator[Told | None]


class CompletionService:
    """The use cases of completions."""

    def __init__(self, runs: RunService, speakers: Speakers) -> None:
        self._runs, self._speakers = runs, speakers

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
        speaker = await self._speakers.find(caller, body.model)
        given = given_of(body, speaker[1].budget)
        return prepared(caller, speaker, given, question_of(body.messages), form_of(body))

    async def list_models(self, caller: Caller) -> tuple[Sequence[Offered], bool]:
        """All that the caller may ask, and whether some are left out."""
        return await self._speakers.list_all(caller)

    async def get_model(self, caller: Caller, name: str) -> Offered:
        """Raises ModelNotFound."""
        return await self._speakers.describe(caller, name)
