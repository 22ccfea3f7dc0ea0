"""`/chat/conversations`."""

from fastapi import APIRouter, Response

from services.chat.conversations.metadata import MetadataFilter
from services.chat.conversations.schemas import (
    AgentFilter,
    ConversationRead,
    ConversationUpdate,
    MessageRead,
    WordsFilter,
)
from services.chat.conversations.searching import Wanted
from services.chat.dependencies import Conversations, Reader, Writer
from services.chat.domain import Conversation
from services.chat.errors import ConversationNotFound
from shared.door import GuardedRoute
from shared.errors import Conflict, PreconditionFailed, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe
from shared.schemas import Id

router = APIRouter(prefix="/api/v1/chat/conversations", tags=["conversations"], route_class=GuardedRoute)


@router.get(
    "", operation_id="chat_list_conversations", summary="My conversations", response_model=Page[ConversationRead]
)
async def list_page(
    caller: Reader,
    conversations: Conversations,
    q: WordsFilter = None,
    agent_id: AgentFilter = None,
    metadata: MetadataFilter = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[ConversationRead]:
    """The caller's conversations, newest activity first; with filters those that answer to all of them."""
    wanted = Wanted(agent_id=agent_id, metadata=metadata or (), words=q)
    found = await conversations.list_page(caller, wanted, limit=limit, cursor=cursor)
    return found.page(ConversationRead.model_validate)


@router.get(
    "/{id}",
    operation_id="chat_get_conversation",
    summary="One conversation",
    response_model=ConversationRead,
    responses=responses(ConversationNotFound),
)
async def get(id: Id, caller: Reader, conversations: Conversations, response: Response) -> Conversation:
    """A conversation without its messages."""
    conversation = await conversations.get(caller, id)
    describe(response, version=conversation.version)
    return conversation


@router.patch(
    "/{id}",
    operation_id="chat_update_conversation",
    summary="Change a conversation",
    response_model=ConversationRead,
    responses=responses(ConversationNotFound, PreconditionFailed, Conflict),
)
async def update(
    id: Id,
    body: ConversationUpdate,
    caller: Writer,
    conversations: Conversations,
    response: Response,
    if_match: IfMatch = None,
) -> Conversation:
    """Give a conversation another title, other metadata or both. Its place in the list stays: that is no activity."""
    conversation = await conversations.update(caller, id, body, if_match)
    describe(response, version=conversation.version)
    return conversation


@router.delete(
    "/{id}",
    operation_id="chat_delete_conversation",
    summary="Delete a conversation",
    status_code=204,
    responses=responses(ConversationNotFound, PreconditionFailed, Conflict),
)
async def delete(id: Id, caller: Writer, conversations: Conversations, if_match: IfMatch = None) -> None:
    """Forget a conversation with all its messages, at once and for good. An answer under way is dropped."""
    await conversations.delete(caller, id, if_match)


@router.get(
    "/{id}/messages",
    operation_id="chat_list_messages",
    summary="Messages of a conversation",
    response_model=Page[MessageRead],
    responses=responses(ConversationNotFound),
)
async def list_messages(
    id: Id, caller: Reader, conversations: Conversations, limit: Limit = 20, cursor: Cursor = None
) -> Page[MessageRead]:
    """Oldest first. A message that could not be answered is here too, without an answer after it."""
    found = await conversations.list_messages(caller, id, limit=limit, cursor=cursor)
    return found.page(MessageRead.model_validate)
