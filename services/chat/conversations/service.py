"""What an owner does with conversations."""

from services.chat.conversations.repository import ConversationRepository
from services.chat.conversations.schemas import ConversationRead, MessageRead
from services.chat.domain import Conversation, Owner
from shared.resources import CursorCodec, Page, cut


class ConversationService:
    """Lists, reads, renames and deletes; pages are cut and their cursors made here."""

    def __init__(self, repository: ConversationRepository, cursors: CursorCodec) -> None:
        self._repository = repository
        self._cursors = cursors

    async def list_page(self, owner: Owner, limit: int, cursor: str | None) -> Page[ConversationRead]:
        """Newest activity first. A conversation that becomes active while pages are read moves before all cursors."""
        scope = ["conversations", owner.tenant_id, owner.user_id]
        position = self._cursors.decode(cursor, scope=scope)
        after = (int(position[0]), str(position[1])) if position else None
        places, last = cut(await self._repository.positions(owner, limit + 1, after), limit)
        found = await self._repository.get_many(owner, [conversation_id for _, conversation_id in places])
        return Page(
            items=[ConversationRead.model_validate(conversation) for conversation in found],
            next_cursor=self._cursors.encode(list(last), scope=scope) if last else None,
        )

    async def page_messages(
        self, owner: Owner, conversation_id: str, limit: int, cursor: str | None
    ) -> Page[MessageRead]:
        """Oldest first. Raises ConversationNotFound."""
        scope = ["messages", owner.tenant_id, owner.user_id, conversation_id]
        position = self._cursors.decode(cursor, scope=scope)
        after = str(position[0]) if position else None
        rows, last = cut(await self._repository.page_messages(owner, conversation_id, limit + 1, after), limit)
        return Page(
            items=[MessageRead.model_validate(message) for _, message in rows],
            next_cursor=self._cursors.encode([last[0]], scope=scope) if last else None,
        )

    async def get(self, owner: Owner, conversation_id: str) -> Conversation:
        """Raises ConversationNotFound."""
        return await self._repository.get(owner, conversation_id)

    async def rename(self, owner: Owner, conversation_id: str, title: str, if_match: str | None) -> Conversation:
        """Raises ConversationNotFound, PreconditionFailed, Conflict."""
        return await self._repository.rename(owner, conversation_id, title.strip(), if_match)

    async def delete(self, owner: Owner, conversation_id: str, if_match: str | None) -> None:
        """Raises ConversationNotFound, PreconditionFailed, Conflict."""
        await self._repository.delete(owner, conversation_id, if_match)
