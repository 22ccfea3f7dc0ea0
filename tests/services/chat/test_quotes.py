"""A model that is held to quoting is held to it where it answers from sources, and no other model is."""

from typing import Any

import pytest

from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat
from tests.services.chat.servers import ModelServer, Neighbours

MESSAGE = "/api/v1/chat/message"
BUILT_IN = "smollm2-135m-instruct"
GRAMMAR = 'root ::= "The warranty of the Falcon lasts 27 months. [1]"'


@pytest.fixture
def body(agent_id: str) -> dict[str, Any]:
    return {"agent_id": agent_id, "content": "How long is the warranty?"}


@pytest.fixture(autouse=True)
def listed(model: ModelServer) -> None:
    model.models = [{"id": BUILT_IN}, {"id": "large"}]


async def test_the_model_that_comes_along_is_held_to_quote(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer
) -> None:
    async with open_chat(llm_model=BUILT_IN) as chat:
        answer = await chat.post(MESSAGE, json=body, headers=person.headers)

    [asked] = model.asked
    assert answer.status_code == 200
    assert (asked["grammar"], asked["repeat_penalty"]) == (GRAMMAR, 1.0)
    assert asked["messages"] == [{"role": "user", "content": body["content"]}]


@pytest.mark.parametrize(
    ("name", "entry"),
    [("large", {}), (BUILT_IN, {BUILT_IN: {"quotes": False}})],
    ids=["another", "told not to"],
)
async def test_no_other_is(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer, name: str, entry: dict[str, Any]
) -> None:
    async with open_chat(llm_model=name, llm_models=entry) as chat:
        await chat.post(MESSAGE, json=body, headers=person.headers)

    assert not {"grammar", "repeat_penalty"} & model.asked[0].keys()


async def test_an_operator_holds_any_model_to_it(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer
) -> None:
    async with open_chat(llm_model="large", llm_models={"large": {"quotes": True}}) as chat:
        await chat.post(MESSAGE, json=body, headers=person.headers)

    assert model.asked[0]["grammar"] == GRAMMAR


@pytest.mark.parametrize(
    "changed",
    [{"content": "Привет!"}, {"response_schema": {"type": "object"}}],
    ids=["nothing in common", "an answer of a form"],
)
async def test_it_writes_freely_where_a_quote_is_no_answer(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer, changed: dict[str, Any]
) -> None:
    model.pieces = ["{}"]

    async with open_chat(llm_model=BUILT_IN) as chat:
        answer = await chat.post(MESSAGE, json=body | changed, headers=person.headers)

    assert answer.status_code == 200
    assert "grammar" not in model.asked[0]


async def test_it_calls_tools(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer, neighbours: Neighbours, agent_id: str
) -> None:
    neighbours.agents[agent_id]["tools"] = ["vectors.search"]

    async with open_chat(llm_model=BUILT_IN) as chat:
        await chat.post(MESSAGE, json=body, headers=person.headers)

    assert model.asked[0]["tools"]
    assert "grammar" not in model.asked[0]


async def test_a_provider_that_knows_no_grammar_is_asked_without(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer
) -> None:
    model.refuses = [(400, {"error": {"message": "Unrecognized request argument: grammar", "param": None}}, {})]

    async with open_chat(llm_model=BUILT_IN) as chat:
        answers = [await chat.post(MESSAGE, json=body, headers=person.headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [asked.keys() & {"grammar", "repeat_penalty"} for asked in model.asked] == [
        {"grammar", "repeat_penalty"},
        set(),
        set(),
    ]
    assert [len(asked["messages"]) for asked in model.asked[:2]] == [1, 2]  # with the sources where it is to write
