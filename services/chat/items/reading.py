"""Items as OpenAI's clients read them."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field

from services.chat.conversations.schemas import CitationRead
from services.chat.domain import Message
from services.chat.items.ids import item_id
from shared.openai import Listed
from shared.schemas import ResponseModel

Status = Literal["in_progress", "completed", "incomplete"]


class InputTextRead(ResponseModel):
    """What a user or an operator said."""

    type: Literal["input_text"] = "input_text"
    text: str


class FileCitationRead(ResponseModel):
    """A file that a text names."""

    type: Literal["file_citation"] = "file_citation"
    index: int = Field(description="where its `[number]` begins in the text, in characters")
    file_id: str
    filename: str


class OutputTextRead(ResponseModel):
    """What was answered."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[FileCitationRead] = Field(
        default=[], description="files that `file_search` has found and the text names; for the rest see `citations`"
    )
    logprobs: list[None] = Field(default=[], max_length=0, description="always empty")


class RefusalRead(ResponseModel):
    """The model's word that it will not answer."""

    type: Literal["refusal"] = "refusal"
    refusal: str


class MessageItem(ResponseModel):
    """A message."""

    type: Literal["message"] = "message"
    id: str = Field(description="`msg_` and the id of the message")
    status: Status = "completed"
    role: Literal["user", "assistant", "system", "developer"]
    content: list[Annotated[InputTextRead | OutputTextRead | RefusalRead, Field(discriminator="type")]]
    citations: list[CitationRead] = Field(default=[], description="what an agent's answer was given")


class SaidItem(MessageItem):
    """A message of a response."""

    phase: Literal["commentary", "final_answer"] | None = Field(
        default=None, description="whether it stands before calls, or is the answer; left out until that is known"
    )


class CallItem(ResponseModel):
    """A call of one of the caller's functions."""

    type: Literal["function_call"] = "function_call"
    id: str = Field(description="`fc_` and the id of the message")
    status: Status = "completed"
    call_id: str = Field(description="by which its result is given")
    name: str
    arguments: str = Field(description="as the model wrote it, which need not be JSON of the schema")


class CallOutputItem(ResponseModel):
    """What such a call has given."""

    type: Literal["function_call_output"] = "function_call_output"
    id: str = Field(description="`fco_` and the id of the message")
    status: Status = "completed"
    call_id: str
    output: str


class ReasoningTextRead(ResponseModel):
    """What a model thought."""

    type: Literal["reasoning_text"] = "reasoning_text"
    text: str


class ReasoningItem(ResponseModel):
    """What a model thought before it answered."""

    type: Literal["reasoning"] = "reasoning"
    id: str
    status: Status = "completed"
    summary: list[None] = Field(default=[], max_length=0, description="always empty")
    content: list[ReasoningTextRead]


class FoundPartRead(ResponseModel):
    """A part of a file."""

    file_id: str
    filename: str
    score: float
    text: str
    attributes: dict[str, str | bool | int | float]


class FileSearchCallItem(ResponseModel):
    """A search of the vector stores that were named."""

    type: Literal["file_search_call"] = "file_search_call"
    id: str
    status: Literal["searching", "completed", "incomplete", "failed"]
    queries: list[str]
    results: list[FoundPartRead] | None = Field(description="with `include`, else null")


KeptItem = Annotated[MessageItem | CallItem | CallOutputItem, Field(discriminator="type")]
"""What a conversation keeps."""


class KeptItems(Listed[KeptItem]):
    """Items of a conversation, in order."""

    @classmethod
    def of(cls, messages: Sequence[Message], *, has_more: bool) -> Self:
        """A page of these."""
        data = [item_of(message) for message in messages]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return cls(data=data, first_id=first, last_id=last, has_more=has_more)


def item_of(message: Message) -> MessageItem | CallItem | CallOutputItem:
    """A message of a conversation as an item."""
    named = item_id(message)
    if message.tool_call:
        call = message.tool_call
        return CallItem(id=named, call_id=call.id, name=call.name, arguments=call.arguments)
    if message.role == "tool":
        return CallOutputItem(id=named, call_id=message.tool_call_id or "", output=message.content)
    if message.role != "assistant":
        return MessageItem(id=named, role=message.role, content=[InputTextRead(text=message.content)])
    return MessageItem(
        id=named,
        role="assistant",
        content=[OutputTextRead(text=message.content)],
        citations=[CitationRead.model_validate(one) for one in message.citations],
    )
