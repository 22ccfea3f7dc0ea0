"""How tests ask for responses, and read what they are told."""

from typing import Any

import httpx
import orjson

RESPONSES = "/api/v1/responses"
QUESTION = "How long is the warranty?"
ANSWER = "The warranty lasts 27 months [1]."
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def asking(model: str = "scripted", **members: Any) -> dict[str, Any]:
    return {"model": model, "input": QUESTION, **members}


async def typed_of(response: httpx.Response) -> list[dict[str, Any]]:
    """All that a stream says, without its heartbeats."""
    lines = [line.removeprefix("data: ") async for line in response.aiter_lines() if line.startswith("data: ")]
    return [orjson.loads(line) for line in lines]


async def streamed(client: httpx.AsyncClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    async with client.stream("POST", RESPONSES, json=body | {"stream": True}) as response:
        assert response.status_code == 200, await response.aread()
        return await typed_of(response)


async def followed(client: httpx.AsyncClient, id_: str, **query: Any) -> list[dict[str, Any]]:
    async with client.stream("GET", f"{RESPONSES}/{id_}", params={"stream": True, **query}) as response:
        assert response.status_code == 200, await response.aread()
        return await typed_of(response)


async def created(client: httpx.AsyncClient, **members: Any) -> dict[str, Any]:
    answer = await client.post(RESPONSES, json=asking(**members))
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def text_of(response: dict[str, Any]) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part.get("text", "") for part in parts)
