"""What OpenAI's clients do with conversations."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.chat.conversations.domain import Conversation
from services.chat.conversations.schemas import ConversationUpdate
from services.chat.conversations.service import ConversationService
from services.chat.domain import Message, Owner
from services.chat.errors import MessageNotFound
from services.chat.events import Done
from services.chat.items.ids import item_id, message_id
from services.chat.items.repository import ItemRepository
from services.chat.items.schemas import ConversationBegin, ItemCreate, MetadataReplace
from services.chat.items.translating import message_of
from shared.door import Once
from shared.identity import Caller, Tells


@dataclass(frozen=True, slots=True)
class Span:
    """Which items of a conversation are asked for: the next `limit` after the one with the id `after`."""

    limit: int
    newest_first: bool
    after: str | None


class ItemService:
    """The use cases of conversations and their items: each caller's own, and nobody else's."""

    def __init__(self, repository: ItemRepository, conversations: ConversationService, auth: Tells) -> None:
        self._repository, self._conversations, self._auth = repository, conversations, auth

    async def begin(self, caller: Caller, body: ConversationBegin, once: Once | None) -> Conversation:
        """Raises what `images_of` and ItemRepository.begin do, and for a repetition after it was deleted
        ConversationNotFound."""
        put = await self._repository.begin(Owner.of(caller), _messages(body.items), body.metadata, once)
        return await self._conversations.get(caller, put.conversation_id)

    async def get(self, caller: Caller, conversation_id: str) -> Conversation:
        """Raises ConversationNotFound."""
        return await self._conversations.get(caller, conversation_id)

    async def update(self, caller: Caller, conversation_id: str, body: MetadataReplace) -> Conversation:
        """Raises ConversationNotFound, KeptTooMuch, Conflict."""
        changes = ConversationUpdate(metadata=body.metadata or {})
        return await self._conversations.update(caller, conversation_id, changes, None)

    async def delete(self, caller: Caller, conversation_id: str) -> None:
        """Raises ConversationNotFound, Conflict."""
        await self._conversations.delete(caller, conversation_id, None)

    async def add(
        self, caller: Caller, conversation_id: str, items: Sequence[ItemCreate], once: Once | None
    ) -> list[Message]:
        """Those that were put at its end; of a repetition those that are there yet. Raises what ItemRepository.add
        does."""
        owner, messages = Owner.of(caller), _messages(items)
        put = await self._repository.add(owner, conversation_id, messages, once)
        if not (once and once.is_repetition):
            return messages
        found = list[Message]()
        for one in put.message_ids:
            try:
                found.append((await self._repository.find(owner, conversation_id, one))[1])
            except MessageNotFound:  # taken out since
                continue
        return found

    async def list_page(self, caller: Caller, conversation_id: str, span: Span) -> tuple[list[Message], bool]:
        """What was asked for, and whether more follow. Raises ConversationNotFound, MessageNotFound for `after`."""
        owner = Owner.of(caller)
        if span.after:
            await self.get_item(caller, conversation_id, span.after)
        after = span.after and message_id(span.after)
        return await self._repository.page(owner, conversation_id, span.limit, after, newest_first=span.newest_first)

    async def get_item(self, caller: Caller, conversation_id: str, item: str) -> Message:
        """Raises ConversationNotFound, MessageNotFound."""
        _, message = await self._repository.find(Owner.of(caller), conversation_id, message_id(item))
        if item_id(message) != item:
            raise MessageNotFound
        return message

    async def take_out(self, caller: Caller, conversation_id: str, item: str) -> Conversation:
        """The conversation without the item. Raises ConversationNotFound, MessageNotFound, RunActive."""
        message = await self.get_item(caller, conversation_id, item)
        await self._repository.take_out(Owner.of(caller), conversation_id, message.id)
        self._auth.tell(caller, Done.MESSAGE_DELETED, message.id, once=message.id)
        return await self._conversations.get(caller, conversation_id)


def _messages(items: Sequence[ItemCreate]) -> list[Message]:
    return [message for place, item in enumerate(items) if (message := message_of(item, f"/items/{place}"))]
