"""By `openai-agents`: `python … BASE_URL KEY AGENT`, which prints what it found as JSON."""

import asyncio
import json
import sys
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI, NotFoundError
from openai.types.responses import ResponseTextDeltaEvent

QUESTION, WEATHER = "How long is the warranty of the Falcon?", "What is the weather in Ulm?"
called: list[Any] = []


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    called.extend(("get_weather", {"city": city}))
    return f"rain in {city}"


async def main(base_url: str, key: str, agent: str) -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0)
    model = OpenAIChatCompletionsModel(model=agent, openai_client=client)
    streamed = Runner.run_streamed(Agent(name="asks", model=model), QUESTION)
    pieces = [
        event.data.delta
        async for event in streamed.stream_events()
        if event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent)
    ]
    final = await Runner.run(Agent(name="looks", model=model, tools=[get_weather]), WEATHER)
    try:
        unknown = OpenAIChatCompletionsModel(model="gpt-9", openai_client=client)
        await Runner.run(Agent(name="errs", model=unknown), QUESTION)
    except NotFoundError as refused:
        error = [refused.status_code, refused.code]
    print(json.dumps({"answer": "".join(pieces), "call": called, "final": final.final_output, "error": error}))


asyncio.run(main(*sys.argv[1:]))
