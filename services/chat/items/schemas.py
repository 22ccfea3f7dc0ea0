"""Conversations as OpenAI's clients ask for them and read them."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from services.chat.conversations.domain import Conversation
from services.chat.conversations.metadata import Metadata
from services.chat.items.given import GivenItem, only
from services.chat.items.ids import conversation_name
from shared.openai import OpenAIRequest, Unsupported
from shared.schemas import ResponseModel

ITEMS_AT_ONCE = 20
_KEPT = ("message", "function_call", "function_call_output")


class ItemCreate(GivenItem):
    """An item for a conversation, which keeps no reasoning."""

    type: Annotated[Literal["message", "function_call", "function_call_output"], BeforeValidator(only(_KEPT))] = (
        "message"
    )
    summary: Unsupported = None
    encrypted_content: Unsupported = None
    phase: Unsupported = None
    queries: Unsupported = None
    results: Unsupported = None


class ConversationBegin(OpenAIRequest):
    """A new conversation, with no agent as yet."""

    items: Annotated[list[ItemCreate], Field(max_length=ITEMS_AT_ONCE)] = Field(
        default_factory=list, examples=[[{"role": "user", "content": "Which collections can FAISS serve?"}]]
    )
    metadata: Metadata = Field(default_factory=dict)


class MetadataReplace(OpenAIRequest):
    """Other metadata for a conversation, in place of all it has."""

    metadata: Metadata | None = Field(description="null for none", examples=[{"customer": "4711"}])


class ItemsCreate(OpenAIRequest):
    """What to put at the end of a conversation, all or nothing."""

    items: Annotated[list[ItemCreate], Field(min_length=1, max_length=ITEMS_AT_ONCE)] = Field(
        examples=[[{"role": "user", "content": "And which can ChromaDB serve?"}]]
    )


class OpenAIConversationRead(ResponseModel):
    """A conversation."""

    id: str = Field(description="`conv_` and the id that it has at `/chat/conversations`")
    object: Literal["conversation"] = "conversation"
    created_at: int = Field(description="in seconds since 1970")
    metadata: dict[str, Any]

    @classmethod
    def of(cls, conversation: Conversation) -> "OpenAIConversationRead":
        return cls(
            id=conversation_name(conversation.id),
            created_at=int(conversation.created_at.timestamp()),
            metadata=dict(conversation.metadata),
        )


class OpenAIConversationDeleted(ResponseModel):
    id: str
    object: Literal["conversation.deleted"] = "conversation.deleted"
    deleted: Literal[True] = True
