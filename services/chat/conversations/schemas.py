"""Conversations and messages on the wire."""

from typing import Annotated, Literal

from pydantic import Field

from shared.schemas import Id, RequestModel, ResponseModel, Text, UtcDatetime

_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


class ConversationUpdate(RequestModel):
    """A new name for a conversation."""

    title: Annotated[
        Text, Field(min_length=1, max_length=200, pattern=r"\S", examples=["Return policy, spring collection"])
    ]


class ConversationRead(ResponseModel):
    """A conversation with one agent."""

    id: Id
    agent_id: Id
    title: str = Field(description="the first line of its first message, until it is renamed")
    message_count: int
    created_at: UtcDatetime
    last_activity_at: UtcDatetime = Field(description="of its last message; lists are ordered by it")


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
