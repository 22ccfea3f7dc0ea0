"""By `pydantic-ai`: `python … BASE_URL KEY AGENT`, which prints what it found as JSON."""

import asyncio
import json
import sys
from typing import Any

from openai import AsyncOpenAI
from pydantic_ai import Agent, ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

QUESTION, WEATHER = "How long is the warranty of the Falcon?", "What is the weather in Ulm?"
called: list[Any] = []


def get_weather(city: str) -> str:
    """The weather of a city."""
    called.extend(("get_weather", {"city": city}))
    return f"rain in {city}"


async def main(base_url: str, key: str, agent: str) -> None:
    client = AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0)
    provider = OpenAIProvider(openai_client=client)
    model = OpenAIChatModel(agent, provider=provider)
    async with Agent(model).run_stream(QUESTION) as stream:
        pieces = [piece async for piece in stream.stream_text(delta=True, debounce_by=None)]
    final = await Agent(model, tools=[get_weather]).run(WEATHER)
    try:
        await Agent(OpenAIChatModel("gpt-9", provider=provider)).run(QUESTION)
    except ModelHTTPError as refused:
        error = [refused.status_code, refused.body["code"]]
    print(json.dumps({"answer": "".join(pieces), "call": called, "final": final.output, "error": error}))


asyncio.run(main(*sys.argv[1:]))
