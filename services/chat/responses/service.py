"""Responses: questions that are answered by runs whose caller gives all that is told, and gone on from."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.chat.dialogue.beginning import prepared
from services.chat.dialogue.speakers import Speakers
from services.chat.dialogue.telling import Told, told
from services.chat.domain import Agent, Message, Owner, RunState
from services.chat.errors import MessageNotFound, RunEnded, RunNotFound
from services.chat.events import Done
from services.chat.given_prompt import most_chars_of
from services.chat.items.ids import item_id
from services.chat.items.service import Span
from services.chat.responses.blaming import blamed
from services.chat.responses.compacting import asked_in_short
from services.chat.responses.errors import ResponseNotFound, ResponseUnkeepable
from services.chat.responses.history import Histories
from services.chat.responses.repository import ResponseRepository
from services.chat.responses.schemas import ResponseCompact, ResponseCreate
from services.chat.responses.translating import asked_of, form_of, given_of, question_of, require_eyes
from services.chat.responses.unfolding import Unfolding
from services.chat.runs.control import RunControl
from services.chat.runs.logs import RunTooLong
from services.chat.runs.service import Prepare, Prepared, Run, RunService
from shared.door import Once
from shared.errors import Invalid
from shared.identity import Caller, Tells
from shared.limits import Place
from shared.web import Listener


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that answers, and the response that is made of its events."""

    run: Run
    unfolding: Unfolding
    events: AsyncIterator[Told | None]


@dataclass(frozen=True, slots=True)
class Followed:
    """The same for whoever follows it: the place that they hold, and who hears it."""

    unfolding: Unfolding
    events: AsyncIterator[Told | None]
    place: Place
    listener: Listener


class ResponseService:
    """The use cases of responses: each caller's own, and nobody else's."""

    def __init__(
        self,
        runs: RunService,
        control: RunControl,
        repository: ResponseRepository,
        histories: Histories,
        speakers: Speakers,
        auth: Tells,
    ) -> None:
        self._runs, self._control, self._repository = runs, control, repository
        self._histories, self._speakers, self._auth = histories, speakers, auth

    async def start(self, caller: Caller, body: ResponseCreate, once: Once | None) -> Begun:
        """Begin to answer. As RunService.start for whoever repeats it.

        Raises ModelNotFound, PromptTooLong, CallsUnanswered, ResponseNotFound and PreviousResponseUnusable for the one
        before, ItemNotFound, ModelWithoutEyes, ResponseUnkeepable, and what `images_of` and RunService.start_given do.
        """
        prepare = partial(self._prepared, caller, body)
        try:
            run = await self._begun(caller, prepare, once, tells_failure=body.stream or body.background)
        except RunTooLong as error:
            raise ResponseUnkeepable from error
        unfolding = Unfolding(run.id, asked_of(body), shows_results=body.shows_results)
        return Begun(run, unfolding, told(self._runs.follow(run)))

    async def compact(self, caller: Caller, body: ResponseCompact, once: Once | None) -> Begun:
        """Begin to tell in short what was said: asked of the model alone, without what an agent is and knows. Raises as
        `start`."""
        run = await self._begun(caller, partial(self._in_short, caller, body), once, tells_failure=False)
        return Begun(run, Unfolding.plain(run.id, body.model), told(self._runs.follow(run)))

    async def _begun(self, caller: Caller, prepare: Prepare, once: Once | None, *, tells_failure: bool) -> Run:
        try:
            return await self._runs.start_given(caller, prepare, once, tells_failure=tells_failure)
        except Invalid as error:
            raise blamed(error) from error

    async def _in_short(self, caller: Caller, body: ResponseCompact) -> Prepared:
        _, chosen = await self._speakers.find(caller, body.model)
        before = await self._histories.before(caller, body, most_chars_of(chosen.budget))
        own = await self._histories.input_of(caller, body.input or (), before)
        given = asked_in_short([*before.messages, *own], body.instructions, chosen.budget)
        nobody = Agent("", "", chosen.model.name, ())
        return prepared(caller, (nobody, chosen), given, "", None)

    async def _prepared(self, caller: Caller, body: ResponseCreate) -> Prepared:
        agent, chosen = await self._speakers.find(caller, body.model)
        before = await self._histories.before(caller, body, most_chars_of(chosen.budget))
        require_eyes(body, before, chosen.budget)
        own = await self._histories.input_of(caller, body.input, before)
        given, question = given_of(body, before, own, chosen.budget), question_of([*before.messages, *own])
        return prepared(caller, (agent, chosen), given, question, form_of(body), body.conversation)

    async def get(self, caller: Caller, run_id: str, *, shows_results: bool = False) -> dict[str, Any]:
        """The response as it is now; one whose process is gone has failed. Raises ResponseNotFound."""
        return (await self._histories.read(caller, run_id, shows_results=shows_results))[1].response

    async def follow(self, caller: Caller, run_id: str, *, shows_results: bool = False) -> Followed:
        """Its events, from its first. Raises ResponseNotFound, ShareTaken, StreamsFull."""
        kept = await self._repository.get(Owner.of(caller), run_id)
        try:
            attached = await self._control.attach(caller, run_id, 0)
        except RunNotFound as error:
            raise ResponseNotFound from error
        assert attached is not None  # noqa: S101 - whoever has seen nothing is always told something
        frames, place, listener = attached
        unfolding = Unfolding(run_id, kept.asked, shows_results=shows_results or kept.shows_results)
        return Followed(unfolding, told(frames), place, listener)

    async def cancel(self, caller: Caller, run_id: str) -> dict[str, Any]:
        """The response, which is cancelled: now, or earlier. Raises ResponseNotFound, RunEnded."""
        await self._repository.get(Owner.of(caller), run_id)
        try:
            await self._control.cancel(caller, run_id)
        except RunNotFound as error:
            raise ResponseNotFound from error
        except RunEnded as error:
            error.headers["x-should-retry"] = "false"  # OpenAI's clients repeat a conflict by themselves
            raise
        return await self.get(caller, run_id)

    async def delete(self, caller: Caller, run_id: str) -> None:
        """Forget it and its run, at once and for good; an answer under way is dropped. Raises ResponseNotFound."""
        owner = Owner.of(caller)
        await self._repository.get(owner, run_id)
        try:
            run = await self._control.get(caller, run_id)
        except RunNotFound as error:
            raise ResponseNotFound from error
        if run.state in (RunState.RUNNING, RunState.REQUIRES_ACTION):
            await self._control.leave(owner, run_id, run.conversation_id)
        await self._repository.delete(owner, run_id, run.conversation_id)
        self._auth.tell(caller, Done.RESPONSE_DELETED, run_id, once=run_id)

    async def list_input(self, caller: Caller, run_id: str, span: Span) -> tuple[list[Message], bool]:
        """What it was told, of the responses before it too, and whether more follow.

        Raises ResponseNotFound, MessageNotFound for `after`.
        """
        messages = list((await self._repository.get(Owner.of(caller), run_id)).messages)
        if span.newest_first:
            messages.reverse()
        start = 0
        if span.after:
            names = [item_id(message) for message in messages]
            if span.after not in names:
                raise MessageNotFound
            start = names.index(span.after) + 1
        return messages[start : start + span.limit], len(messages) > start + span.limit
