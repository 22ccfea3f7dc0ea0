"""Responses: questions that are answered by runs of no conversation, and gone on from."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.chat.dialogue.beginning import prepared
from services.chat.dialogue.speakers import Speakers
from services.chat.dialogue.telling import Told, told
from services.chat.domain import Message, Owner, RunState
from services.chat.errors import MessageNotFound, RunEnded, RunNotFound
from services.chat.events import Done
from services.chat.items.ids import item_id
from services.chat.items.service import Span
from services.chat.responses.blaming import blamed
from services.chat.responses.errors import PreviousResponseUnusable, ResponseNotFound
from services.chat.responses.kept import Kept
from services.chat.responses.repository import ResponseRepository
from services.chat.responses.schemas import ResponseCreate
from services.chat.responses.translating import answered, asked_of, form_of, given_of, input_of, question_of
from services.chat.responses.unfolding import Unfolding
from services.chat.runs.control import RunControl
from services.chat.runs.events import until_final
from services.chat.runs.service import Prepared, Run, RunService
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
        speakers: Speakers,
        auth: Tells,
    ) -> None:
        self._runs, self._control, self._repository = runs, control, repository
        self._speakers, self._auth = speakers, auth

    async def start(self, caller: Caller, body: ResponseCreate, once: Once | None) -> Begun:
        """Begin to answer. As RunService.start for whoever repeats it.

        Raises ModelNotFound, PromptTooLong, CallsUnanswered, ResponseNotFound and PreviousResponseUnusable for the one
        before, and what RunService.start does of a new conversation.
        """
        prepare = partial(self._prepared, caller, body)
        tells_failure = body.stream or body.background
        try:
            run = await self._runs.start_given(caller, prepare, once, tells_failure=tells_failure)
        except Invalid as error:
            raise blamed(error) from error
        return Begun(run, Unfolding(run.id, asked_of(body)), told(self._runs.follow(run)))

    async def _prepared(self, caller: Caller, body: ResponseCreate) -> Prepared:
        said = [*await self._said_before(caller, body.previous_response_id), *input_of(body)]
        speaker = await self._speakers.find(caller, body.model)
        given = given_of(body, said, speaker[1].budget)
        return prepared(caller, speaker, given, question_of(said), form_of(body))

    async def _said_before(self, caller: Caller, run_id: str | None) -> Sequence[Message]:
        """All that was said up to the answer of the response. Raises ResponseNotFound, PreviousResponseUnusable."""
        if run_id is None:
            return []
        try:
            kept, response = await self._read(caller, run_id)
        except ResponseNotFound as error:
            raise ResponseNotFound(at=("/previous_response_id", "not_found")) from error
        if response["status"] not in ("completed", "incomplete"):
            raise PreviousResponseUnusable(response["status"])
        return [*kept.messages, *answered(response["output"], run_id)]

    async def get(self, caller: Caller, run_id: str) -> dict[str, Any]:
        """The response as it is now; one whose process is gone has failed. Raises ResponseNotFound."""
        return (await self._read(caller, run_id))[1]

    async def _read(self, caller: Caller, run_id: str) -> tuple[Kept, dict[str, Any]]:
        owner = Owner.of(caller)
        kept = await self._repository.get(owner, run_id)
        try:
            await self._control.get(caller, run_id)  # which ends one that nobody executes any more
        except RunNotFound as error:
            raise ResponseNotFound from error
        unfolding = Unfolding(run_id, kept.asked)
        for event in until_final(await self._repository.events(owner, run_id)):
            unfolding.take(Told(event.type, event.data))
        return kept, unfolding.response

    async def follow(self, caller: Caller, run_id: str) -> Followed:
        """Its events, from its first. Raises ResponseNotFound, ShareTaken, StreamsFull."""
        kept = await self._repository.get(Owner.of(caller), run_id)
        try:
            attached = await self._control.attach(caller, run_id, 0)
        except RunNotFound as error:
            raise ResponseNotFound from error
        assert attached is not None  # noqa: S101 - whoever has seen nothing is always told something
        frames, place, listener = attached
        return Followed(Unfolding(run_id, kept.asked), told(frames), place, listener)

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
