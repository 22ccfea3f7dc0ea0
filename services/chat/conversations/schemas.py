"""Conversations and messages on the wire."""

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import MISSING, Field

from services.chat.conversations.metadata import Metadata
from services.chat.images.domain import Detail
from shared.schemas import Id, RequestModel, ResponseModel, Scalar, Text, UtcDatetime

_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


_Title = Annotated[
    Text, Field(min_length=1, max_length=200, pattern=r"\S", examples=["Return policy, spring collection"])
]


WordsFilter = Annotated[
    Text | None,
    Query(
        min_length=1,
        max_length=200,
        pattern=r"\S",
        description="only conversations whose title and messages have each of these words",
    ),
]
AgentFilter = Annotated[Id | None, Query(description="only conversations with this agent")]


class ConversationUpdate(RequestModel):
    """What to replace of a conversation; the other stays."""

    title: _Title | MISSING = MISSING
    metadata: Metadata | MISSING = MISSING

    @property
    def changes(self) -> dict[str, Any]:
        """The fields that were given."""
        given = self.model_dump(exclude_unset=True)
        return given | ({"title": given["title"].strip()} if "title" in given else {})


class ForkCreate(RequestModel):
    """Where another way begins."""

    message_id: Id = Field(description="the last message that the fork has in common", examples=[_ID])


class ForkedFrom(ResponseModel):
    """Where a conversation came from. It may be gone."""

    conversation_id: Id
    message_id: Id


class ConversationRead(ResponseModel):
    """A conversation with one agent."""

    id: Id
    agent_id: Id | None = Field(description="null until a message names one")
    title: str = Field(description="the first line of its first message, until it is renamed; empty without any")
    message_count: int
    created_at: UtcDatetime
    last_activity_at: UtcDatetime = Field(description="of its last message; lists are ordered by it")
    expires_at: UtcDatetime = Field(description="then it is forgotten, unless another message comes before")
    metadata: dict[str, Scalar]
    forked_from: ForkedFrom | None = Field(description="null for one that is no fork")


class CitationRead(ResponseModel):
    """A passage the model was given to answer from."""

    number: int = Field(description="the model knows it as `[number]`; 1 is the best match")
    collection: str
    record_id: str
    score: float = Field(description="higher is better")
    text: str = Field(description="as it was given to the model; `…` where it was cut")
    referenced: bool = Field(description="whether the answer says `[number]`")


class MessageRead(ResponseModel):
    """One message of a conversation."""

    id: Id
    run_id: Id = Field(description="the turn it belongs to")
    role: Literal["user", "assistant"]
    content: str
    citations: list[CitationRead] = Field(description="best match first; empty for a user's message")
    created_at: UtcDatetime


def _is_none(value: object) -> bool:
    return value is None


def _is_empty(value: list[object]) -> bool:
    return not value


class ToolCallRead(ResponseModel):
    """A call of one of the caller's tools."""

    id: str
    name: str
    arguments: str = Field(description="as the model wrote it, which need not be JSON of the schema")


class ImageRead(ResponseModel):
    """An image that a message shows: what it is by its content. `/conversations/{id}/items` has all of it."""

    media_type: Literal["image/png", "image/jpeg", "image/webp", "image/gif"]
    width: int = Field(description="in pixels, by its header")
    height: int
    size: int = Field(description="in bytes")
    detail: Detail | None = Field(description="as it was given; null where it was not")
    at: int = Field(description="behind how many characters of `content` it stands")


class KeptMessageRead(MessageRead):
    """One message of a conversation, said in a turn or put there as it is (`/conversations`)."""

    run_id: Id | None = Field(description="the turn it belongs to; null for one that was put there")  # type: ignore[assignment]
    role: Literal["user", "assistant", "system", "developer", "tool"]  # type: ignore[assignment]
    tool_call: ToolCallRead | None = Field(
        default=None,
        exclude_if=_is_none,
        description="what an assistant's message calls in place of a text; left out of others",
    )
    tool_call_id: str | None = Field(
        default=None,
        exclude_if=_is_none,
        description="of the call whose result a tool's message is; left out of others",
    )
    images: list[ImageRead] = Field(
        default=[], exclude_if=_is_empty, description="that a user's message shows, in order; left out of others"
    )
