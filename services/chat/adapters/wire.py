"""What is asked of a model, as the OpenAI protocol writes it."""

from typing import Any

from services.chat.generation import Ask, PromptMessage


def message_member(message: PromptMessage) -> dict[str, Any]:
    """One message, with the calls it asks for or the one it answers."""
    member: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        member["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        member["tool_call_id"] = message.tool_call_id
    return member


def demands(ask: Ask) -> dict[str, Any]:
    """The tools it may call and the form its answer is to have; nothing where there is none."""
    members: dict[str, Any] = {}
    if ask.tools:
        members["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in ask.tools
        ]
    if ask.response_schema is not None:
        members["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": ask.response_schema},
        }
    return members
