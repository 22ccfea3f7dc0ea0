"""By `llama-index-llms-openai-like`: `python … BASE_URL KEY AGENT`, which prints what it found as JSON."""

import json
import sys

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from openai import NotFoundError

QUESTION, WEATHER = "How long is the warranty of the Falcon?", "What is the weather in Ulm?"


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def main(base_url: str, key: str, agent: str) -> None:
    given = {"api_base": base_url, "api_key": key, "is_chat_model": True, "max_retries": 0}
    model = OpenAILike(model=agent, is_function_calling_model=True, **given)
    asked = [ChatMessage(role="user", content=QUESTION)]
    pieces = [piece.delta for piece in model.stream_chat(asked) if piece.delta]
    weather = FunctionTool.from_defaults(fn=get_weather)
    calling = model.chat_with_tools([weather], user_msg=WEATHER)
    [call] = model.get_tool_calls_from_response(calling)
    told = ChatMessage(
        role="tool", content=get_weather(**call.tool_kwargs), additional_kwargs={"tool_call_id": call.tool_id}
    )
    history = [ChatMessage(role="user", content=WEATHER), calling.message, told]
    final = model.chat_with_tools([weather], chat_history=history)
    try:
        OpenAILike(model="gpt-9", **given).chat(asked)
    except NotFoundError as refused:
        error = [refused.status_code, refused.code]
    found = {
        "answer": "".join(pieces),
        "call": [call.tool_name, call.tool_kwargs],
        "final": final.message.content,
        "error": error,
    }
    print(json.dumps(found))


main(*sys.argv[1:])
