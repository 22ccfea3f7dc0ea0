"""What an owner does with conversations."""

from services.chat.conversations.forking import Forks
from services.chat.conversations.repository import ConversationRepository
from services.chat.conversations.schemas import ConversationUpdate
from services.chat.conversations.searching import Wanted
from services.chat.domain import Conversation, Message, Owner
from services.chat.events import Done
from shared.door import Once
from shared.identity import Caller, Tells
from shared.resources import CursorCodec, Slice


class ConversationService:
    """The use cases of conversations: each caller's own, and nobody else's."""

    def __init__(self, repository: ConversationRepository, forks: Forks, cursors: CursorCodec, auth: Tells) -> None:
        self._repository, self._forks, self._cursors, self._auth = repository, forks, cursors, auth

    async def list_page(self, caller: Caller, wanted: Wanted, *, limit: int, cursor: str | None) -> Slice[Conversation]:
        """Those that are `wanted`, newest activity first.

        A conversation that becomes active while pages are read moves before all cursors.
        """
        owner = Owner.of(caller)
        places = await self._cursors.slice(
            lambda after, most: self._repository.positions(
                owner, most, after and (int(after[0]), str(after[1])), wanted
            ),
            key=list,
            scope=["conversations", owner.tenant_id, owner.user_id, *wanted.scope],
            limit=limit,
            cursor=cursor,
        )
        found = await self._repository.get_many(owner, [conversation_id for _, conversation_id in places.rows])
        return Slice(found, places.next_cursor)

    async def list_messages(
        self, caller: Caller, conversation_id: str, *, limit: int, cursor: str | None
    ) -> Slice[Message]:
        """Oldest first. Raises ConversationNotFound."""
        owner = Owner.of(caller)
        entries = await self._cursors.slice(
            lambda after, most: self._repository.messages(owner, conversation_id, most, after),
            key=lambda entry: entry[0],
            scope=["messages", owner.tenant_id, owner.user_id, conversation_id],
            limit=limit,
            cursor=cursor,
        )
        return Slice([message for _, message in entries.rows], entries.next_cursor)

    async def get(self, caller: Caller, conversation_id: str) -> Conversation:
        """Raises ConversationNotFound."""
        return await self._repository.get(Owner.of(caller), conversation_id)

    async def fork(self, caller: Caller, conversation_id: str, message_id: str, once: Once | None) -> Conversation:
        """A conversation of its own with all that was said up to the message, which it ends with.

        Raises ConversationNotFound, MessageNotFound, TooManyConversations; for a repetition IdempotencyKeyReused, and
        ConversationNotFound where the fork was deleted.
        """
        owner = Owner.of(caller)
        return await self._repository.get(owner, await self._forks.make(owner, conversation_id, message_id, once))

    async def update(
        self, caller: Caller, conversation_id: str, body: ConversationUpdate, if_match: str | None
    ) -> Conversation:
        """The changed conversation. Raises ConversationNotFound, PreconditionFailed, Conflict."""
        changes = body.changes
        changed = await self._repository.update(Owner.of(caller), conversation_id, changes, if_match)
        if changes:
            self._auth.tell(caller, Done.UPDATED, conversation_id)
        return changed

    async def delete(self, caller: Caller, conversation_id: str, if_match: str | None) -> None:
        """Raises ConversationNotFound, PreconditionFailed, Conflict."""
        await self._repository.delete(Owner.of(caller), conversation_id, if_match)
        self._auth.tell(caller, Done.DELETED, conversation_id, once=conversation_id)
