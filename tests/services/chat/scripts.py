"""What a scripted model says: the chunks of one generation each."""

import json
from typing import Any

Script = list[dict[str, Any]]
USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def says(text: str, *, thinking: str = "") -> Script:
    """An answer, thought about before."""
    thought = [_chunk({"reasoning_content": thinking})] if thinking else []
    return [*thought, _chunk({"content": text}), _chunk({}, "stop"), {"choices": [], "usage": USAGE}]


def refuses(text: str) -> Script:
    return [_chunk({"refusal": text}), _chunk({}, "stop")]


def calls(*asked: tuple[str, Any], text: str = "") -> Script:
    """Calls of tools: the name of each on the wire, and its arguments, as JSON unless they are text."""
    parts = [
        {
            "index": number,
            "id": f"c{number}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for number, (name, given) in enumerate(asked)
    ]
    said = [_chunk({"content": text})] if text else []
    return [*said, _chunk({"tool_calls": parts}), _chunk({}, "tool_calls"), {"choices": [], "usage": USAGE}]
