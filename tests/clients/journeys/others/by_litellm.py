"""By `litellm`: `python … BASE_URL KEY AGENT`, which prints what it found as JSON."""

import json
import sys

import litellm

FOUND = "chat.model_not_found"  # which LiteLLM keeps to itself, and tells the words only
QUESTION, WEATHER = "How long is the warranty of the Falcon?", "What is the weather in Ulm?"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def main(base_url: str, key: str, agent: str) -> None:
    given = {"api_base": base_url, "api_key": key, "num_retries": 0}
    model = f"openai/{agent}"
    stream = litellm.completion(model=model, messages=[{"role": "user", "content": QUESTION}], stream=True, **given)
    pieces = [chunk.choices[0].delta.content for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    asked = [{"role": "user", "content": WEATHER}]
    calling = litellm.completion(model=model, messages=asked, tools=[TOOL], **given).choices[0].message
    [call] = calling.tool_calls
    arguments = json.loads(call.function.arguments)
    told = {"role": "tool", "tool_call_id": call.id, "content": f"rain in {arguments['city']}"}
    final = litellm.completion(model=model, messages=[*asked, calling, told], tools=[TOOL], **given)
    try:
        litellm.completion(model="openai/gpt-9", messages=asked, **given)
    except litellm.NotFoundError as refused:
        error = [refused.status_code, FOUND if "There is no agent and no model" in str(refused) else str(refused)]
    said = final.choices[0].message.content
    print(
        json.dumps({"answer": "".join(pieces), "call": [call.function.name, arguments], "final": said, "error": error})
    )


main(*sys.argv[1:])
