"""Items as the messages that a conversation keeps, and those as a model is told them."""

from collections.abc import Iterable
from dataclasses import replace

from services.chat.domain import Citation, Message
from services.chat.generation import PromptMessage, ToolCall
from services.chat.images.reading import Said, images_of
from services.chat.items.compaction import unpacked
from services.chat.items.given import GivenItem
from services.chat.times import now
from shared.schemas import new_id


def message_of(item: GivenItem, pointer: str) -> Message | None:
    """The message that an item is kept as, with an id of its own; None for what was thought or searched, which no
    conversation keeps. Raises what `images_of` does, for the item that this pointer leads to."""
    message = Message(new_id(), None, "assistant", "", [], now())
    match item.type:
        case "function_call":
            call = ToolCall(item.call_id or "", item.name or "", item.arguments or "")
            return replace(message, tool_call=call)
        case "function_call_output":
            return replace(message, role="tool", content=item.output or "", tool_call_id=item.call_id)
        case "compaction":
            return replace(message, role="developer", content=unpacked(item.encrypted_content or "") or "")
        case "message":
            citations = [Citation(**one.model_dump()) for one in item.citations or ()]
            said = item.content or Said("")
            images = images_of(said, f"{pointer}/content", "image_url")
            return replace(message, role=item.role or "user", content=said.text, citations=citations, images=images)
        case _:
            return None


def prompt_messages(messages: Iterable[Message]) -> list[PromptMessage]:
    """What a model is told of them, oldest first: calls stand with the answer that made them."""
    told, calls = list[PromptMessage](), list[list[ToolCall]]()
    for message in messages:
        made = [message.tool_call] if message.tool_call else []
        if made and told and told[-1].role == "assistant":
            calls[-1] += made
            continue
        role = "system" if message.role == "developer" else message.role
        told.append(PromptMessage(role, message.content, (), message.tool_call_id, images=message.images))
        calls.append(made)
    return [replace(one, tool_calls=some) if some else one for one, some in zip(told, calls, strict=True)]
