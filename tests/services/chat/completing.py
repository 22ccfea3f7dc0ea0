"""How tests ask as OpenAI's clients do, and read what they are told."""

from typing import Any

import httpx
import orjson

COMPLETIONS, RUNS = "/api/v1/chat/completions", "/api/v1/chat/runs"
QUESTION = {"role": "user", "content": "How long is the warranty?"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def asking(model: str = "scripted", *messages: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"model": model, "messages": list(messages or [QUESTION]), **members}


async def chunks_of(response: httpx.Response) -> list[Any]:
    """All that a stream says, without its heartbeats; `[DONE]` as text."""
    lines = [line.removeprefix("data: ") async for line in response.aiter_lines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else orjson.loads(line) for line in lines]


async def streamed(client: httpx.AsyncClient, body: dict[str, Any]) -> list[Any]:
    async with client.stream("POST", COMPLETIONS, json=body | {"stream": True}) as response:
        assert response.status_code == 200, await response.aread()
        return await chunks_of(response)


def deltas(chunks: list[Any], member: str) -> list[Any]:
    """What the chunks add to one member, in order."""
    choices = [choice for chunk in chunks if isinstance(chunk, dict) for choice in chunk.get("choices", [])]
    return [choice["delta"][member] for choice in choices if member in choice["delta"]]


def joined(chunks: list[Any]) -> str:
    return "".join(deltas(chunks, "content"))
