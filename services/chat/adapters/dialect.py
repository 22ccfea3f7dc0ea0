"""How a generation is asked of a provider, and what it is asked without because the provider does not know it.

The protocol has grown: some servers refuse members that are newer than they are, and newer models ones that are older.
Which they are is learned from the refusal, once for each model of a provider.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from services.chat.adapters.grammar import exactly
from services.chat.generation import Ask, PromptMessage, ToolCall, ToolSpec
from services.chat.images.domain import Image, pieces

_SPARED: Final = ("grammar", "stream_options", "response_format", "max_completion_tokens", "max_tokens", "temperature")
_NAMED = re.compile(rb"\b(%b)\b" % "|".join(_SPARED).encode())
_USUAL_WORDS: Final = frozenset({b"user", b"stop", b"metadata"})
MAX_LESSONS: Final = len(_SPARED)
"""How often one generation may be asked anew, each time without something."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The members that one model of a provider is not sent."""

    without: frozenset[str] = frozenset({"max_completion_tokens"})

    def body(self, ask: Ask, *, answer_tokens: int, temperature: float | None) -> bytes:
        """The request, as JSON."""
        body: dict[str, Any] = {
            "model": ask.model,
            "messages": [_message(message) for message in ask.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": answer_tokens,
            "max_completion_tokens": answer_tokens,
        }
        if temperature is not None:
            body["temperature"] = temperature
        if ask.tools:
            body["tools"] = [_tool(tool) for tool in ask.tools]
        if ask.response_schema is not None:
            demanded = {"name": ask.answer_name, "schema": ask.response_schema}
            body["response_format"] = {"type": "json_schema", "json_schema": demanded}
        if ask.quotes and "grammar" not in self.without:
            body |= _quoting(ask)
        return orjson.dumps({name: value for name, value in body.items() if name not in self.without} | {**ask.options})

    def corrected(self, refusal: bytes, asked: bytes) -> "Dialect | None":
        """How to ask instead of `asked`, where the body of the `refusal` names what it was refused for."""
        sent = orjson.loads(asked)
        named = [name for match in _NAMED.findall(refusal) if (name := match.decode()) in sent]
        if not named:
            return None
        blamed = _blamed(refusal, named)
        if blamed == "max_tokens":  # under its new name, which newer models want
            return replace(self, without=self.without - {"max_completion_tokens"} | {"max_tokens"})
        return replace(self, without=self.without | {blamed})


def option_refused(refusal: bytes, ask: Ask) -> str | None:
    """The option of the caller's that a provider says it does not take: it is not left out, but told."""
    named = [name for name in ask.options if _is_named(name.encode(), refusal)]
    return _blamed(refusal, named) if named else None


def _is_named(name: bytes, refusal: bytes) -> bool:
    """Errors are about roles and ends of all sorts: a name that is a usual word counts as the `param` alone."""
    if name in _USUAL_WORDS:
        return bool(re.search(rb'"param": ?"%b"' % name, refusal))
    return bool(re.search(rb"""['"`]%b['"`]|: %b\b""" % (name, name), refusal))


def _blamed(refusal: bytes, named: list[str]) -> str:
    """The member that an error says it is about, else the first that it names."""
    try:
        param = orjson.loads(refusal)["error"]["param"]
    except (ValueError, TypeError, KeyError):
        return named[0]
    return param if param in named else named[0]


def _quoting(ask: Ask) -> dict[str, Any]:
    """The message alone: of sources that it can choose nothing from, a small model would read for seconds.

    A penalty on words that were said would be one on quoting.
    """
    messages = [_message(ask.messages[-1])]
    return {"messages": messages, "grammar": exactly(ask.quotes), "repeat_penalty": 1.0}


def _message(message: PromptMessage) -> dict[str, Any]:
    content = list(map(_part, pieces(message.content, message.images))) if message.images else message.content
    members: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        members |= {"content": message.content or None, "tool_calls": [_call(call) for call in message.tool_calls]}
    if message.name is not None:
        members["name"] = message.name
    if message.tool_call_id is not None:
        members["tool_call_id"] = message.tool_call_id
    return members


def _part(piece: str | Image) -> dict[str, Any]:
    if isinstance(piece, str):
        return {"type": "text", "text": piece}
    return {"type": "image_url", "image_url": {"url": piece.url} | ({"detail": piece.detail} if piece.detail else {})}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function | ({"strict": True} if tool.is_strict else {})}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
