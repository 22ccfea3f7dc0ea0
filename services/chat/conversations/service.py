"""What an owner does with conversations."""

from contextlib import AsyncExitStack
from typing import Final

from services.chat.conversations.domain import Conversation
from services.chat.conversations.forking import Forks
from services.chat.conversations.repository import ConversationRepository
from services.chat.conversations.schemas import ConversationUpdate
from services.chat.conversations.searching import Wanted
from services.chat.domain import Message, Owner
from services.chat.errors import SearchesFull
from services.chat.events import Done
from shared.door import Once
from shared.identity import Caller, Tells
from shared.limits import Turns
from shared.resources import CursorCodec, Slice

_SEARCHES: Final = 2
"""For words, at once in a process: more would keep Redis from everything else, and be no sooner done."""
_WAITING: Final = 64
_WAITING_OF_ONE: Final = 4


class ConversationService:
    """The use cases of conversations: each caller's own, and nobody else's."""

    def __init__(self, repository: ConversationRepository, forks: Forks, cursors: CursorCodec, auth: Tells) -> None:
        self._repository, self._forks, self._cursors, self._auth = repository, forks, cursors, auth
        self._searches = Turns(_SEARCHES, waiting=_WAITING, per_source=_WAITING_OF_ONE)

    async def list_page(self, caller: Caller, wanted: Wanted, *, limit: int, cursor: str | None) -> Slice[Conversation]:
        """Those that are `wanted`, newest activity first. Raises SearchesFull.

        A conversation that becomes active while pages are read moves before all cursors.
        """
        owner = Owner.of(caller)
        scope = ["conversations", owner.tenant_id, owner.user_id, *wanted.scope]
        after = self._cursors.decode(cursor, scope=scope)
        position = (int(after[0]), str(after[1])) if after else None
        async with AsyncExitStack() as turn:
            if wanted.words:
                await turn.enter_async_context(self._searches.turn(f"{owner.tenant_id}:{owner.user_id}", SearchesFull))
            stretch = await self._repository.positions(owner, limit, position, wanted)
        found = await self._repository.get_many(owner, [conversation_id for _, conversation_id in stretch.places])
        return Slice(found, stretch.reached and self._cursors.encode([*stretch.reached], scope=scope))

    async def list_messages(
        self, caller: Caller, conversation_id: str, *, limit: int, cursor: str | None
    ) -> Slice[Message]:
        """Oldest first. Raises ConversationNotFound."""
        owner = Owner.of(caller)
        scope = ["messages", owner.tenant_id, owner.user_id, conversation_id]
        after = self._cursors.decode(cursor, scope=scope)
        entries, has_more = await self._repository.messages(owner, conversation_id, limit, after[0] if after else None)
        next_cursor = self._cursors.encode([entries[-1][0]], scope=scope) if has_more else None
        return Slice([message for _, message in entries], next_cursor)

    async def get(self, caller: Caller, conversation_id: str) -> Conversation:
        """Raises ConversationNotFound."""
        return await self._repository.get(Owner.of(caller), conversation_id)

    async def fork(self, caller: Caller, conversation_id: str, message_id: str, once: Once | None) -> Conversation:
        """A conversation of its own with all that was said up to the message, which it ends with.

        Raises ConversationNotFound, MessageNotFound, TooManyConversations, ForkTooLarge, ForkedTooMuch,
        KeptTooMuch; for a repetition IdempotencyKeyReused, and ConversationNotFound where the fork was deleted.
        """
        owner = Owner.of(caller)
        return await self._repository.get(owner, await self._forks.make(owner, conversation_id, message_id, once))

    async def update(
        self, caller: Caller, conversation_id: str, body: ConversationUpdate, if_match: str | None
    ) -> Conversation:
        """The changed conversation. Raises ConversationNotFound, PreconditionFailed, KeptTooMuch, Conflict."""
        changes = body.changes
        changed = await self._repository.update(Owner.of(caller), conversation_id, changes, if_match)
        if changes:
            self._auth.tell(caller, Done.UPDATED, conversation_id)
        return changed

    async def delete(self, caller: Caller, conversation_id: str, if_match: str | None) -> None:
        """Raises ConversationNotFound, PreconditionFailed, Conflict."""
        await self._repository.delete(Owner.of(caller), conversation_id, if_match)
        self._auth.tell(caller, Done.DELETED, conversation_id, once=conversation_id)
