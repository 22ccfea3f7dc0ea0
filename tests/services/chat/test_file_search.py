"""The search of vector stores that a response brings with it."""

from typing import Any

import httpx
import pytest

from tests.services.chat.responding import QUESTION, RESPONSES, WEATHER, asking, created, followed, streamed, text_of
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours

SEARCH = "vectors_file_search"
RESULTS = "file_search_call.results"
WARRANTY = {
    "file_id": "f1",
    "filename": "falcon.md",
    "score": 0.9,
    "attributes": {"team": "support"},
    "content": [{"type": "text", "text": "The warranty of the Falcon lasts 27 months."}],
}
WEIGHT = WARRANTY | {
    "file_id": "f2",
    "score": 0.4,
    "filename": "weights.md",
    "attributes": {},
    "content": [{"type": "text", "text": "The Falcon weighs 800 grams."}],
}
FILTER = {"type": "and", "filters": [{"type": "eq", "key": "team", "value": "support"}]}


def searching(*stores: str, **members: Any) -> dict[str, Any]:
    return {"type": "file_search", "vector_store_ids": list(stores or ("vs_1",)), **members}


def looks(query: str = "warranty") -> Any:
    return calls((SEARCH, {"query": query}))


@pytest.fixture(autouse=True)
def stored(neighbours: Neighbours) -> None:
    neighbours.stores = {"vs_1": [WARRANTY], "vs_2": [WEIGHT]}


async def test_what_is_found_is_told_cited_and_shown(
    chat: httpx.AsyncClient, model: ModelServer, neighbours: Neighbours
) -> None:
    model.scripted = [looks(), says("It lasts 27 months [1], truly [1].")]

    told = await created(chat, tools=[searching(filters=FILTER, max_num_results=3)], include=[RESULTS])

    call, message = told["output"]
    assert call["id"].startswith("fs_")
    assert (call["type"], call["status"], call["queries"]) == ("file_search_call", "completed", ["warranty"])
    assert call["results"] == [
        {
            "file_id": "f1",
            "filename": "falcon.md",
            "score": 0.9,
            "text": "The warranty of the Falcon lasts 27 months.",
            "attributes": {"team": "support"},
        }
    ]
    cited = {"type": "file_citation", "file_id": "f1", "filename": "falcon.md"}
    assert message["content"][0]["annotations"] == [cited | {"index": 19}, cited | {"index": 30}]
    assert [one["record_id"] for one in message["citations"] if one["referenced"]] == ["f1"]
    assert told["tools"] == [
        searching(filters=FILTER, max_num_results=3, ranking_options={"ranker": "auto", "score_threshold": None})
    ]
    [search] = neighbours.searches
    assert (search["store"], search["query"], search["max_num_results"]) == ("vs_1", "warranty", 3)
    assert (search["filters"], search["ranking_options"]["ranker"]) == (FILTER, "auto")
    assert "27 months" in model.asked[1]["messages"][-1]["content"]


async def test_its_events_are_those_that_clients_know(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted = [looks(), says("27 months [1].")]

    events = await streamed(chat, asking(tools=[searching()]))

    assert [one["type"].removeprefix("response.") for one in events] == [
        *("created", "in_progress", "output_item.added"),
        *("file_search_call.in_progress", "file_search_call.searching", "file_search_call.completed"),
        *("output_item.done", "output_item.added", "content_part.added", "output_text.delta"),
        *("output_text.annotation.added", "output_text.done", "content_part.done", "output_item.done", "completed"),
    ]
    [added] = [one for one in events if one["type"].endswith("annotation.added")]
    assert (added["annotation_index"], added["annotation"]["filename"]) == (0, "falcon.md")
    last = events[-1]["response"]
    assert last["output"][0]["results"] is None
    place = f"{RESPONSES}/{last['id']}"
    assert (await chat.get(place)).json() == last
    assert await followed(chat, last["id"]) == events
    shown = (await chat.get(place, params={"include[]": RESULTS})).json()
    assert shown["output"][0]["results"][0]["file_id"] == "f1"


async def test_several_stores_are_compared_by_meaning(
    chat: httpx.AsyncClient, model: ModelServer, neighbours: Neighbours
) -> None:
    model.scripted = [looks(), says("Both [1][2].")]

    told = await created(chat, tools=[searching("vs_2", "vs_1")], include=[RESULTS])

    assert {one["ranking_options"]["ranker"] for one in neighbours.searches} == {"none"}
    assert [one["file_id"] for one in told["output"][0]["results"]] == ["f1", "f2"]
    assert [one["file_id"] for one in told["output"][1]["content"][0]["annotations"]] == ["f1", "f2"]


async def test_searches_at_once_have_places_of_their_own(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted = [calls((SEARCH, {"query": "warranty"}), (SEARCH, {}), text="Let me look."), says("Yes.")]

    events = await streamed(chat, asking(tools=[searching()]))

    output = events[-1]["response"]["output"]
    assert [(one["type"], one["status"]) for one in output] == [
        ("message", "completed"),
        ("file_search_call", "completed"),
        ("file_search_call", "failed"),
        ("message", "completed"),
    ]
    assert [one.get("phase") for one in output] == ["commentary", None, None, "final_answer"]
    done = {one["output_index"]: one["item"] for one in events if one["type"] == "response.output_item.done"}
    assert [done[place] for place in range(4)] == output


async def test_it_stands_beside_tools_of_agent_and_caller(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    model.scripted = [looks(), calls(("get_weather", {"city": "Ghent"}))]

    told = await created(chat, model=agent_id, tools=[searching(), WEATHER])

    assert [one["type"] for one in told["output"]] == ["file_search_call", "function_call"]
    assert [one["function"]["name"] for one in model.asked[0]["tools"]] == [SEARCH, "get_weather"]


@pytest.mark.parametrize("choice", ["required", {"type": "file_search"}])
async def test_it_is_demanded_once(chat: httpx.AsyncClient, model: ModelServer, choice: Any) -> None:
    model.scripted = [looks(), says("Yes.")]

    told = await created(chat, tools=[searching()], tool_choice=choice)

    assert text_of(told) == "Yes."
    named = {"type": "function", "function": {"name": SEARCH}}
    assert [one.get("tool_choice") for one in model.asked] == ["required" if choice == "required" else named, None]


async def test_it_is_not_offered_where_none_is_to_be_called(chat: httpx.AsyncClient, model: ModelServer) -> None:
    await created(chat, tools=[searching()], tool_choice="none")

    assert "tools" not in model.asked[0]


async def test_what_the_caller_may_not_search_ends_it(
    chat: httpx.AsyncClient, model: ModelServer, neighbours: Neighbours
) -> None:
    model.scripted = [looks()] * 2
    unknown = await chat.post(RESPONSES, json=asking(tools=[searching("vs_9")]))
    events = await streamed(chat, asking(tools=[searching("vs_9")]))

    error = unknown.json()["error"]
    assert (unknown.status_code, error["code"], error["param"]) == (404, "vectors.collection_not_found", "tools")
    last = events[-1]
    assert (last["type"], last["response"]["error"]["code"]) == ("response.failed", "vectors.collection_not_found")
    assert [one["status"] for one in last["response"]["output"]] == ["incomplete"]


async def test_a_search_that_is_away_is_told_to_the_model(
    chat: httpx.AsyncClient, model: ModelServer, neighbours: Neighbours
) -> None:
    neighbours.vectors_problem = (503, "vectors.unavailable")
    model.scripted = [looks(), says("I cannot look.")]

    told = await created(chat, tools=[searching()], include=[RESULTS])

    assert next((one["status"], one["results"]) for one in told["output"]) == ("failed", None)
    assert text_of(told) == "I cannot look."


async def test_what_was_found_is_taken_back_and_gone_on_from(chat: httpx.AsyncClient, model: ModelServer) -> None:
    model.scripted = [looks(), says("27 months [1]."), says("Yes."), says("Sure.")]
    first = await created(chat, tools=[searching()], include=[RESULTS])
    question, more = {"role": "user", "content": QUESTION}, {"role": "user", "content": "Sure?"}

    await created(chat, input=[question, *first["output"], more])
    await created(
        chat, input=[question, *[{"type": "item_reference", "id": one["id"]} for one in first["output"]], more]
    )
    await created(chat, input="Sure?", previous_response_id=first["id"])

    for asked in model.asked[2:]:
        assert [one["content"] for one in asked["messages"]] == [QUESTION, "27 months [1].", "Sure?"]


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ([searching(), searching("vs_2")], None),
        ([searching("Not a name")], "tools[0].vector_store_ids[0]"),
        ([searching(max_num_results=51)], "tools[0].max_num_results"),
        ([searching(ranking_options={"ranker": "default-2024-11-15"})], "tools[0].ranking_options.ranker"),
        ([searching(filters={"type": "near", "key": "team", "value": 1})], None),
        ([searching(), WEATHER | {"name": SEARCH}], None),
        ([WEATHER | {"vector_store_ids": ["vs_1"]}], "tools[0]"),
    ],
)
async def test_what_it_cannot_do_is_refused_by_name(
    chat: httpx.AsyncClient, tools: list[Any], param: str | None
) -> None:
    refused = await chat.post(RESPONSES, json=asking(tools=tools))

    assert refused.status_code == 400
    assert param is None or refused.json()["error"]["param"] == param, refused.text


async def test_what_else_is_to_be_included_is_refused(chat: httpx.AsyncClient) -> None:
    told = await created(chat)

    for query in ({"include[]": "message.output_text.logprobs"}, {"include": RESULTS}):
        refused = await chat.get(f"{RESPONSES}/{told['id']}", params=query)
        assert refused.status_code == 400, query
