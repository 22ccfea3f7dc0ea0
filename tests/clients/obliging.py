"""A model that does what a client's journey needs: it says what it was asked for and shown, and calls the tool it was
given."""

import json
from typing import Any, Final

from tests.services.chat.servers import STARTED, Receive, Scope, Send, answer, read_body

NAME: Final = "obliging"
ANSWER: Final = ("The warranty", " of the Falcon", " lasts 27 months [1].")
CALL: Final = {"name": "get_weather", "arguments": '{"city": "Ulm"}'}


async def obliging(scope: Scope, receive: Receive, send: Send) -> None:
    """Calls `get_weather` where it is offered and nothing was called yet, tells what a tool has said, or what
    images it was shown, else says `ANSWER`."""
    if scope["path"].endswith("/models"):
        await answer(
            send,
            200,
            {"object": "list", "data": [{"id": NAME, "object": "model", "input_modalities": ["text", "image"]}]},
        )
        return
    if not scope["path"].endswith("/chat/completions"):
        await answer(send, 404, {})
        return
    asked = await read_body(receive)
    await send(STARTED)
    for delta in (*_deltas(asked), {}):
        reason = None if delta else "tool_calls" if _calls(asked) else "stop"
        await _say(send, {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
    await _say(send, {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


def _calls(asked: dict[str, Any]) -> bool:
    offered = {tool["function"]["name"] for tool in asked.get("tools") or ()}
    return CALL["name"] in offered and asked["messages"][-1]["role"] != "tool"


def _deltas(asked: dict[str, Any]) -> list[dict[str, Any]]:
    if _calls(asked):
        return [{"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": CALL}]}]
    last = asked["messages"][-1]
    seen = " ".join(f"The image is {media_type}." for media_type in _shown(asked))
    said = ("It is ", last["content"]) if last["role"] == "tool" else (seen,) if seen else ANSWER
    return [{"content": piece} for piece in said]


def _shown(asked: dict[str, Any]) -> list[str]:
    """What the images are by their addresses."""
    contents = [one["content"] for one in asked["messages"] if isinstance(one["content"], list)]
    urls = [part["image_url"]["url"] for parts in contents for part in parts if part["type"] == "image_url"]
    return [url.removeprefix("data:").partition(";")[0] for url in urls]


async def _say(send: Send, chunk: dict[str, Any]) -> None:
    body = b"data: %b\n\n" % json.dumps(chunk).encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})
