"""By `langchain-openai`: `python … BASE_URL KEY AGENT`, which prints what it found as JSON."""

import json
import sys

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import NotFoundError

QUESTION, WEATHER = "How long is the warranty of the Falcon?", "What is the weather in Ulm?"


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def main(base_url: str, key: str, agent: str) -> None:
    model = ChatOpenAI(model=agent, base_url=base_url, api_key=key, max_retries=0)
    pieces = [chunk.text for chunk in model.stream(QUESTION) if chunk.text]
    asked = [HumanMessage(WEATHER)]
    calling = model.bind_tools([get_weather]).invoke(asked)
    [call] = calling.tool_calls
    told = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    final = model.bind_tools([get_weather]).invoke([*asked, calling, told])
    try:
        ChatOpenAI(model="gpt-9", base_url=base_url, api_key=key, max_retries=0).invoke(QUESTION)
    except NotFoundError as refused:
        error = [refused.status_code, refused.code]
    found = {"answer": "".join(pieces), "call": [call["name"], call["args"]], "final": final.text, "error": error}
    print(json.dumps(found))


main(*sys.argv[1:])
