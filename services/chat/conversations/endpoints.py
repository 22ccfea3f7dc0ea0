"""`/chat/conversations`."""

from fastapi import APIRouter, Response

from services.chat.conversations.domain import Conversation
from services.chat.conversations.metadata import MetadataFilter
from services.chat.conversations.schemas import (
    AgentFilter,
    ConversationRead,
    ConversationUpdate,
    ForkCreate,
    KeptMessageRead,
    WordsFilter,
)
from services.chat.conversations.searching import Wanted
from services.chat.dependencies import Beginner, Conversations, Lister, Reader, Writer
from services.chat.errors import (
    ConversationNotFound,
    ForkedTooMuch,
    ForkTooLarge,
    KeptTooMuch,
    MessageNotFound,
    SearchesFull,
    TooManyConversations,
)
from shared.door import GuardedRoute, IdempotentRoute, Keyed
from shared.errors import Conflict, PreconditionFailed, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe
from shared.schemas import Id

router = APIRouter(prefix="/api/v1/chat/conversations", tags=["conversations"], route_class=GuardedRoute)
forking = APIRouter(prefix="/api/v1/chat/conversations", tags=["conversations"], route_class=IdempotentRoute)


@router.get(
    "",
    operation_id="chat_list_conversations",
    summary="My conversations",
    response_model=Page[ConversationRead],
    responses=responses(SearchesFull),
)
async def list_page(
    caller: Lister,
    conversations: Conversations,
    q: WordsFilter = None,
    agent_id: AgentFilter = None,
    metadata: MetadataFilter = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[ConversationRead]:
    """The caller's conversations, newest activity first; with filters those that answer to all of them.

    A search that has a lot to look through ends early: with fewer conversations than `limit`, or none, and a
    `next_cursor` with which it goes on.
    """
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


@forking.post(
    "/{id}/fork",
    operation_id="chat_fork_conversation",
    summary="Fork a conversation",
    status_code=201,
    response_model=ConversationRead,
    responses=responses(
        ConversationNotFound, MessageNotFound, TooManyConversations, ForkTooLarge, ForkedTooMuch, KeptTooMuch
    ),
)
async def fork(
    id: Id, body: ForkCreate, caller: Beginner, conversations: Conversations, once: Keyed, response: Response
) -> Conversation:
    """A conversation of its own that has all messages up to this one, and goes on another way. The copies keep their
    ids; title and metadata are copied too. While an answer is under way as well.
    """
    conversation = await conversations.fork(caller, id, body.message_id, once)
    location = f"{router.prefix}/{conversation.id}"
    describe(response, version=conversation.version, location=location)
    return conversation


@router.patch(
    "/{id}",
    operation_id="chat_update_conversation",
    summary="Change a conversation",
    response_model=ConversationRead,
    responses=responses(ConversationNotFound, PreconditionFailed, KeptTooMuch, Conflict),
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
    response_model=Page[KeptMessageRead],
    responses=responses(ConversationNotFound),
)
async def list_messages(
    id: Id, caller: Reader, conversations: Conversations, limit: Limit = 20, cursor: Cursor = None
) -> Page[KeptMessageRead]:
    """Oldest first. A message that could not be answered is here too, without an answer after it. A page ends early
    where its messages hold more than 4 MiB, with their citations."""
    found = await conversations.list_messages(caller, id, limit=limit, cursor=cursor)
    return found.page(KeptMessageRead.model_validate)
