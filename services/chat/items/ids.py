"""Ids as OpenAI's clients know them: ours, with what they are in front."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from services.chat.domain import Message

CONVERSATION: Final = "conv_"
MESSAGE: Final = "msg_"
CALL: Final = "fc_"
CALL_OUTPUT: Final = "fco_"
REASONING: Final = "rs_"
FILE_SEARCH_CALL: Final = "fs_"
UUID_PATTERN: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def bare(value: str) -> str:
    """Ours, without what stands in front."""
    return value.partition("_")[2]


ConversationId = Annotated[
    str,
    Field(
        pattern=rf"^{CONVERSATION}{UUID_PATTERN}$",
        description="`conv_` and the id that it has at `/chat/conversations`",
        examples=["conv_01890a5d-ac96-774b-bcce-b302099a8057"],
    ),
    AfterValidator(bare),
]
"""Of a conversation; what is read of it is the id that it is kept under."""
ItemId = Annotated[
    str,
    Field(
        pattern=rf"^({MESSAGE}|{CALL}|{CALL_OUTPUT}){UUID_PATTERN}$",
        description="of the item",
        examples=["msg_01890a5d-ac96-774b-bcce-b302099a8057"],
    ),
]
"""Of an item, whole: what stands before it is to be right too."""


def conversation_name(conversation_id: str) -> str:
    """The id of a conversation, as OpenAI's clients are told it."""
    return CONVERSATION + conversation_id


def item_id(message: Message) -> str:
    """The id of an item, as OpenAI's clients are told it."""
    if message.tool_call:
        return CALL + message.id
    return (CALL_OUTPUT if message.role == "tool" else MESSAGE) + message.id


def message_id(item: str) -> str:
    """The id that an item's message is kept under."""
    return bare(item)
