"""`/conversations`, where OpenAI's clients look for them."""

from typing import Any, Final

from fastapi import APIRouter

from services.chat.dependencies import ImagesShown, ItemAdder, ItemReader, Items, ItemsAsked, ItemWriter, Starter
from services.chat.errors import (
    ConversationFull,
    ConversationNotFound,
    KeptTooMuch,
    MessageNotFound,
    RunActive,
    TooManyConversations,
)
from services.chat.images.errors import OF_IMAGES
from services.chat.items.ids import ConversationId, ItemId, conversation_name
from services.chat.items.reading import KeptItem, KeptItems, item_of
from services.chat.items.schemas import (
    ConversationBegin,
    ItemsCreate,
    MetadataReplace,
    OpenAIConversationDeleted,
    OpenAIConversationRead,
)
from shared.door import Keyed, takes
from shared.errors import Conflict
from shared.openai import OpenAIKeyedRoute, OpenAIRoute, openai_responses

items_kept = APIRouter(prefix="/api/v1/conversations", tags=["conversations"], route_class=OpenAIRoute)
items_put = APIRouter(prefix="/api/v1/conversations", tags=["conversations"], route_class=OpenAIKeyedRoute)

_FIRST: Final = {"conversation_id": "$request.path.conversation_id", "item_id": "$response.body#/first_id"}
_ADDED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "What was added",
        "links": {
            "item": {"operationId": "chat_get_item", "parameters": _FIRST},
            "deletion": {"operationId": "chat_delete_item", "parameters": _FIRST},
        },
    }
}


@items_put.post(
    "",
    operation_id="chat_begin_conversation",
    summary="Begin a conversation",
    response_model=OpenAIConversationRead,
    responses=openai_responses(ConversationNotFound, TooManyConversations, ConversationFull, KeptTooMuch, *OF_IMAGES),
)
@takes(kib=4096, values=20_000, texts=40_000)
async def begin(body: ConversationBegin, caller: Starter, items: Items, once: Keyed) -> OpenAIConversationRead:
    """With up to 20 items in it. It has no agent until `chat_send_message` names one, and is seen at
    `/chat/conversations` as all others are. What its items say is kept as text, beside the images of users'
    messages."""
    return OpenAIConversationRead.of(await items.begin(caller, body, once))


@items_kept.get(
    "/{conversation_id}",
    operation_id="chat_read_conversation",
    summary="Read a conversation",
    response_model=OpenAIConversationRead,
    responses=openai_responses(ConversationNotFound),
)
async def get(conversation_id: ConversationId, caller: ItemReader, items: Items) -> OpenAIConversationRead:
    """Any of the caller's own, whichever door began it."""
    return OpenAIConversationRead.of(await items.get(caller, conversation_id))


@items_kept.post(
    "/{conversation_id}",
    operation_id="chat_replace_metadata",
    summary="Change what is told of a conversation",
    response_model=OpenAIConversationRead,
    responses=openai_responses(ConversationNotFound, KeptTooMuch, Conflict),
)
async def update(
    conversation_id: ConversationId, body: MetadataReplace, caller: ItemWriter, items: Items
) -> OpenAIConversationRead:
    """`metadata` is replaced as a whole."""
    return OpenAIConversationRead.of(await items.update(caller, conversation_id, body))


@items_kept.delete(
    "/{conversation_id}",
    operation_id="chat_forget_conversation",
    summary="Forget a conversation",
    response_model=OpenAIConversationDeleted,
    responses=openai_responses(ConversationNotFound, Conflict),
)
async def delete(conversation_id: ConversationId, caller: ItemWriter, items: Items) -> OpenAIConversationDeleted:
    """With all of its items, at once and for good. An answer under way is dropped."""
    await items.delete(caller, conversation_id)
    return OpenAIConversationDeleted(id=conversation_name(conversation_id))


@items_put.post(
    "/{conversation_id}/items",
    operation_id="chat_add_items",
    summary="Add items to a conversation",
    response_model=KeptItems,
    responses=_ADDED | openai_responses(ConversationNotFound, RunActive, ConversationFull, KeptTooMuch, *OF_IMAGES),
)
@takes(kib=4096, values=20_000, texts=40_000)
async def add(
    conversation_id: ConversationId,
    body: ItemsCreate,
    caller: ItemAdder,
    items: Items,
    once: Keyed,
    shows_images: ImagesShown,
) -> KeptItems:
    """Up to 20 at its end, each under a new id; all of them or none. Not while something is answered there. Images are
    kept as they are, whoever is to see them."""
    added = await items.add(caller, conversation_id, body.items, once)
    return KeptItems.of(added, has_more=False, shows_images=shows_images)


@items_kept.get(
    "/{conversation_id}/items",
    operation_id="chat_list_items",
    summary="List the items of a conversation",
    response_model=KeptItems,
    responses=openai_responses(ConversationNotFound, MessageNotFound),
)
async def list_page(
    conversation_id: ConversationId,
    caller: ItemReader,
    items: Items,
    span: ItemsAsked,
    shows_images: ImagesShown,
) -> KeptItems:
    """Messages of every door: what runs said, and what was put there. A page ends early, with `has_more`, where they
    hold more than 4 MiB."""
    found, has_more = await items.list_page(caller, conversation_id, span)
    return KeptItems.of(found, has_more=has_more, shows_images=shows_images)


@items_kept.get(
    "/{conversation_id}/items/{item_id}",
    operation_id="chat_get_item",
    summary="Read an item",
    response_model=KeptItem,
    responses=openai_responses(ConversationNotFound, MessageNotFound),
)
async def get_item(
    conversation_id: ConversationId, item_id: ItemId, caller: ItemReader, items: Items, shows_images: ImagesShown
) -> KeptItem:
    """One item of a conversation."""
    return item_of(await items.get_item(caller, conversation_id, item_id), shows_images=shows_images)


@items_kept.delete(
    "/{conversation_id}/items/{item_id}",
    operation_id="chat_delete_item",
    summary="Delete an item",
    response_model=OpenAIConversationRead,
    responses=openai_responses(ConversationNotFound, MessageNotFound, RunActive),
)
async def delete_item(
    conversation_id: ConversationId, item_id: ItemId, caller: ItemWriter, items: Items
) -> OpenAIConversationRead:
    """Answers the conversation. Not while something is answered there. The log of the run that said it has it until
    that is forgotten."""
    return OpenAIConversationRead.of(await items.take_out(caller, conversation_id, item_id))
