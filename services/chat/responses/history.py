"""What was said before a response: in a conversation, or by responses; and the items that its input refers to."""

import re
from collections.abc import Sequence
from typing import Final

from services.chat.dialogue.telling import Told
from services.chat.domain import Message, Owner
from services.chat.errors import ConversationNotFound, RunNotFound
from services.chat.items.given import GivenItem
from services.chat.items.ids import CALL, FILE_SEARCH_CALL, MESSAGE, REASONING, UUID_PATTERN, item_id
from services.chat.items.repository import ItemRepository
from services.chat.items.translating import message_of
from services.chat.responses.errors import (
    ConversationUnkeepable,
    ItemNotFound,
    PreviousResponseUnusable,
    ResponseNotFound,
)
from services.chat.responses.kept import Kept
from services.chat.responses.repository import ResponseRepository
from services.chat.responses.schemas import ResponseCompact, ResponseCreate
from services.chat.responses.translating import Before, answered
from services.chat.responses.unfolding import Unfolding
from services.chat.runs.control import RunControl
from services.chat.runs.events import until_final
from services.chat.runs.logs import RunTooLong
from services.chat.runs.repository import RunRepository
from shared.identity import Caller

_ITEM: Final = re.compile(rf"(?:{MESSAGE}|{CALL}|{REASONING}|{FILE_SEARCH_CALL})({UUID_PATTERN})")
_MOST_RESPONSES: Final = 64  # that one input refers to: each is read whole


class Histories:
    """Each caller's own, and nobody else's."""

    def __init__(
        self, control: RunControl, runs: RunRepository, repository: ResponseRepository, items: ItemRepository
    ) -> None:
        self._control, self._runs, self._repository, self._items = control, runs, repository, items

    async def read(self, caller: Caller, run_id: str, *, shows_results: bool = False) -> tuple[Kept, Unfolding]:
        """A response as it is now; one whose process is gone has failed. Raises ResponseNotFound."""
        owner = Owner.of(caller)
        kept = await self._repository.get(owner, run_id)
        try:
            await self._control.get(caller, run_id)  # which ends one that nobody executes any more
        except RunNotFound as error:
            raise ResponseNotFound from error
        unfolding = Unfolding(run_id, kept.asked, shows_results=shows_results or kept.shows_results)
        async for events in self._runs.stretches(owner, run_id):
            for event in until_final(events):
                unfolding.take(Told(event.type, event.data))
            if unfolding.status != "in_progress":
                break
        return kept, unfolding

    async def before(self, caller: Caller, body: ResponseCreate | ResponseCompact, most_chars: int) -> Before:
        """All that was said up to now where it goes on; of a conversation of more than `most_chars` what is just more.

        Raises ConversationNotFound, ConversationUnkeepable, ResponseNotFound, PreviousResponseUnusable.
        """
        if isinstance(body, ResponseCreate) and body.conversation:
            try:
                owner, is_kept = Owner.of(caller), body.store
                said = await self._items.read_whole(owner, body.conversation, most_chars, is_kept=is_kept)
                return Before(*said)
            except ConversationNotFound as error:
                raise ConversationNotFound(at=("/conversation", "not_found")) from error
            except RunTooLong as error:
                raise ConversationUnkeepable from error
        if body.previous_response_id is None:
            return Before()
        try:
            kept, unfolding = await self.read(caller, body.previous_response_id)
        except ResponseNotFound as error:
            raise ResponseNotFound(at=("/previous_response_id", "not_found")) from error
        if (status := unfolding.status) not in ("completed", "incomplete"):
            raise PreviousResponseUnusable(status)
        return Before([*kept.messages, *answered(unfolding.output, body.previous_response_id)])

    async def input_of(self, caller: Caller, items: Sequence[GivenItem], before: Before) -> list[Message]:
        """The messages that the items of an input are; those given have ids of their own.

        A reference to what was said `before` anyway adds nothing. Raises ItemNotFound, and what `images_of` does.
        """
        known = {item_id(message) for message in before.messages}
        wanted = [item.id or "" for item in items if item.type == "item_reference" and item.id not in known]
        said = await self._said(caller, wanted) if wanted else {}
        messages = list[Message]()
        for place, item in enumerate(items):
            if item.type != "item_reference":
                messages += [message] if (message := message_of(item, f"/input/{place}")) else []
            elif item.id not in known:
                if item.id not in said:
                    raise ItemNotFound(place)
                messages += [message] if (message := said[item.id]) else []
                known.add(item.id)
        return messages

    async def _said(self, caller: Caller, wanted: Sequence[str]) -> dict[str, Message | None]:
        """The items of the responses that have said any of those `wanted`; None for what is no message."""
        named = [found[1] for one in dict.fromkeys(wanted) if (found := _ITEM.fullmatch(one))]
        runs = await self._repository.find_said(Owner.of(caller), named[: _MOST_RESPONSES * 4]) if named else []
        said = dict[str, Message | None]()
        for run_id in list(dict.fromkeys(one for one in runs if one))[:_MOST_RESPONSES]:
            try:
                _, unfolding = await self.read(caller, run_id)
            except ResponseNotFound:  # deleted meanwhile
                continue
            output = unfolding.output
            said |= dict.fromkeys(str(item["id"]) for item in output)
            said |= {item_id(message): message for message in answered(output, run_id)}
        return said
