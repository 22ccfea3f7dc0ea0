"""Items as OpenAI's clients read them."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field

from services.chat.conversations.schemas import CitationRead
from services.chat.domain import Message
from services.chat.images.domain import Detail, Image, pieces
from services.chat.images.parts import LONGEST_URL
from services.chat.items.ids import item_id
from shared.openai import Listed
from shared.schemas import ResponseModel

Status = Literal["in_progress", "completed", "incomplete"]


class InputTextRead(ResponseModel):
    """What a user or an operator said."""

    type: Literal["input_text"] = "input_text"
    text: str


class InputImageRead(ResponseModel):
    """An image that a user showed: what it is by its content."""

    type: Literal["input_image"] = "input_image"
    image_url: str | None = Field(
        description="all of it, as `data:image/png;base64,…`; with `include`, else null", max_length=LONGEST_URL
    )
    file_id: None = None
    detail: Detail
    media_type: str = Field(examples=["image/png"])
    width: int = Field(description="in pixels, by its header")
    height: int
    size: int = Field(description="in bytes")

    @classmethod
    def of(cls, image: Image, *, is_shown: bool) -> Self:
        return cls(
            image_url=image.url if is_shown else None,
            detail=image.detail or "auto",
            media_type=image.media_type,
            width=image.width,
            height=image.height,
            size=image.size,
        )


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
    content: list[Annotated[InputTextRead | InputImageRead | OutputTextRead | RefusalRead, Field(discriminator="type")]]
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
    def of(cls, messages: Sequence[Message], *, has_more: bool, shows_images: bool = False) -> Self:
        """A page of these."""
        data = [item_of(message, shows_images=shows_images) for message in messages]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return cls(data=data, first_id=first, last_id=last, has_more=has_more)


def item_of(message: Message, *, shows_images: bool = False) -> MessageItem | CallItem | CallOutputItem:
    """A message of a conversation as an item, with all of its images or with what these are."""
    named = item_id(message)
    if message.tool_call:
        call = message.tool_call
        return CallItem(id=named, call_id=call.id, name=call.name, arguments=call.arguments)
    if message.role == "tool":
        return CallOutputItem(id=named, call_id=message.tool_call_id or "", output=message.content)
    if message.role != "assistant":
        return MessageItem(id=named, role=message.role, content=_content_of(message, shows_images=shows_images))
    return MessageItem(
        id=named,
        role="assistant",
        content=[OutputTextRead(text=message.content)],
        citations=[CitationRead.model_validate(one) for one in message.citations],
    )


def _content_of(message: Message, *, shows_images: bool) -> list[InputTextRead | InputImageRead]:
    if not message.images:
        return [InputTextRead(text=message.content)]
    return [
        InputTextRead(text=piece) if isinstance(piece, str) else InputImageRead.of(piece, is_shown=shows_images)
        for piece in pieces(message.content, message.images)
    ]
