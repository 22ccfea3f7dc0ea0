"""Several providers, what they offer, and who answers when one is away."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.fixtures.identity import User
from tests.fixtures.images import data_url, png
from tests.services.chat.client import OpenChat, events_of
from tests.services.chat.completing import COMPLETIONS, asking
from tests.services.chat.servers import ModelServer, Neighbours, serving

MESSAGE = "/api/v1/chat/message"
NO = dict[str, str]()


@pytest.fixture
def other() -> ModelServer:
    server = ModelServer()
    server.models = [{"id": "large", "object": "model"}]
    return server


@pytest.fixture
async def provider(other: ModelServer) -> AsyncIterator[dict[str, Any]]:
    """The other server as an operator writes it down."""
    async with serving(other) as url:
        yield {"name": "big", "url": f"{url}/v1/", "api_key": "k" * 3, "headers": {"x-team": "one"}}


@pytest.fixture
def body(agent_id: str) -> dict[str, Any]:
    return {"agent_id": agent_id, "content": "How long is the warranty?"}


@pytest.fixture(autouse=True)
def listed(model: ModelServer) -> None:
    model.models = [{"id": "small"}]


async def test_an_unknown_model_is_refused_before_anything_is_kept(
    chat: httpx.AsyncClient, body: dict[str, Any], agent_id: str, neighbours: Neighbours, model: ModelServer
) -> None:
    neighbours.agents[agent_id]["model"] = "no-such-model"

    answer = await chat.post(MESSAGE, json=body | {"stream": True})

    assert (answer.status_code, answer.json()["code"]) == (422, "chat.model_unknown")
    assert "'no-such-model'" in answer.json()["detail"]
    assert (await chat.get("/api/v1/chat/conversations")).json()["items"] == []
    assert not model.asked


@pytest.mark.parametrize("name", ["large", "big/large"])
async def test_each_agent_has_the_model_it_names_at_the_provider_that_offers_it(
    open_chat: OpenChat,
    person: User,
    body: dict[str, Any],
    agent_id: str,
    neighbours: Neighbours,
    model: ModelServer,
    other: ModelServer,
    provider: dict[str, Any],
    name: str,
) -> None:
    neighbours.agents[agent_id]["model"] = name

    async with open_chat(llm_model="small", llm_providers=[provider]) as client:
        answer = await client.post(MESSAGE, json=body, headers=person.headers)

    assert answer.json()["model"] == "big/large"
    assert other.asked[0]["model"] == "large"
    assert (other.headers[0]["authorization"], other.headers[0]["x-team"]) == ("Bearer kkk", "one")
    assert not model.asked


@pytest.mark.parametrize("status", [503, 429])
async def test_where_one_is_away_the_next_answers_and_the_run_says_so(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer, provider: dict[str, Any], status: int
) -> None:
    model.refuses = [(status, {}, NO)]

    async with open_chat(llm_model="small", llm_providers=[provider], llm_fallbacks=["gone", "large"]) as client:
        client.headers.update(person.headers)
        answer = await client.post(MESSAGE, json=body)
        run = await client.get(f"/api/v1/chat/runs/{answer.json()['run_id']}")

    assert (answer.json()["model"], run.json()["model"]) == ("big/large", "big/large")
    assert len(model.asked) == 1


async def test_what_has_begun_is_not_begun_elsewhere(
    open_chat: OpenChat,
    person: User,
    body: dict[str, Any],
    model: ModelServer,
    other: ModelServer,
    provider: dict[str, Any],
) -> None:
    model.breaks_after = 1

    async with (
        open_chat(llm_model="small", llm_providers=[provider], llm_fallbacks=["large"]) as client,
        client.stream("POST", MESSAGE, json=body | {"stream": True}, headers=person.headers) as response,
    ):
        events = [event async for event in events_of(response)]

    assert events[-1].data["code"] == "chat.model_unavailable"
    assert not other.asked


async def test_of_all_that_are_away_the_first_is_told(
    open_chat: OpenChat,
    person: User,
    body: dict[str, Any],
    model: ModelServer,
    other: ModelServer,
    provider: dict[str, Any],
) -> None:
    model.refuses, other.refuses = [(429, {}, {"retry-after": "9"})], [(500, {}, NO)]

    async with open_chat(llm_model="small", llm_providers=[provider], llm_fallbacks=["large"]) as client:
        answer = await client.post(MESSAGE, json=body, headers=person.headers)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "9")


TOO_LONG = {"error": {"code": "context_length_exceeded", "message": "too long"}}


@pytest.mark.parametrize(("status", "words"), [(401, {}), (404, {}), (400, TOO_LONG)])
async def test_what_a_fallback_does_not_take_hides_nothing(
    open_chat: OpenChat,
    person: User,
    body: dict[str, Any],
    model: ModelServer,
    other: ModelServer,
    provider: dict[str, Any],
    status: int,
    words: dict[str, Any],
) -> None:
    other.models.append({"id": "larger"})
    away: tuple[int, Any, dict[str, str]] = (503, {}, {"retry-after": "9"})
    no = (status, words, NO)
    model.refuses, other.refuses = [away, away], [no, no, no]

    async with open_chat(llm_model="small", llm_providers=[provider], llm_fallbacks=["large", "larger"]) as client:
        client.headers.update(person.headers)
        told = await client.post(MESSAGE, json=body)
        answered = await client.post(MESSAGE, json=body)

    assert (told.status_code, told.headers["retry-after"]) == (503, "9")
    assert answered.json()["model"] == "big/larger"


async def test_an_option_that_a_fallback_does_not_take_hides_nothing(
    open_chat: OpenChat, person: User, model: ModelServer, other: ModelServer, provider: dict[str, Any]
) -> None:
    other.models.append({"id": "larger"})
    away: tuple[int, Any, dict[str, str]] = (503, {}, {"retry-after": "9"})
    no: tuple[int, Any, dict[str, str]] = (400, {"error": {"message": "no 'seed' here", "param": "seed"}}, NO)
    model.refuses, other.refuses = [away, away], [no, no, no]

    async with open_chat(llm_model="small", llm_providers=[provider], llm_fallbacks=["large", "larger"]) as client:
        client.headers.update(person.headers)
        told = await client.post(COMPLETIONS, json=asking("small", seed=1))
        answered = await client.post(COMPLETIONS, json=asking("small", seed=1))

    assert (told.status_code, told.headers["retry-after"]) == (503, "9")
    assert answered.json()["model"] == "big/larger"


async def test_retries_are_few_and_soon(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer
) -> None:
    model.refuses = [(503, {}, NO), (503, {}, {"retry-after": "30"}), *[(503, {}, NO)] * 8]

    async with open_chat(llm_model="small", llm_retries=1) as client:
        client.headers.update(person.headers)
        answers = [await client.post(MESSAGE, json=body) for _ in range(8)]

    assert {answer.status_code for answer in answers} == {503}
    assert len(model.asked) == 8 + 2  # what the budget of one provider begins with


async def test_a_prompt_is_as_long_as_the_model_bears(
    open_chat: OpenChat,
    person: User,
    body: dict[str, Any],
    agent_id: str,
    neighbours: Neighbours,
    model: ModelServer,
) -> None:
    model.models = [{"id": "tiny", "context_length": 600}, {"id": "wide", "max_model_len": 131_072}]
    long = body | {"content": "1 2 3 4 5 6 7 8 9 " * 1000}

    async with open_chat(answer_tokens=512) as client:
        client.headers.update(person.headers)
        neighbours.agents[agent_id]["model"] = "tiny"
        refused, asked = await client.post(MESSAGE, json=long), await client.post(MESSAGE, json=body)
        neighbours.agents[agent_id]["model"] = "wide"
        taken = await client.post(MESSAGE, json=long)

    assert (refused.status_code, refused.json()["code"]) == (422, "chat.message_too_long")
    assert (asked.status_code, taken.status_code) == (200, 200)
    assert [one["max_tokens"] for one in model.asked] == [300, 512]


async def test_llama_cpp_says_how_much_of_its_window_it_serves(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer
) -> None:
    model.models = [{"id": "local", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131_072}}]
    model.props = {"default_generation_settings": {"n_ctx": 512}}

    async with open_chat(llm_model="default", answer_tokens=512) as client:
        await client.post(MESSAGE, json=body, headers=person.headers)

    assert (model.asked[0]["model"], model.asked[0]["max_tokens"]) == ("local", 256)


@pytest.mark.parametrize(
    ("row", "props", "status"),
    [
        ({}, None, 400),
        ({"architecture": {"input_modalities": ["text"]}}, None, 400),
        ({"architecture": {"input_modalities": ["text", "image"]}}, None, 200),
        ({"input_modalities": ["image"]}, None, 200),
        ({"capabilities": {"vision": True}}, None, 200),
        ({"capabilities": ["vision"], "modalities": {"vision": "no"}, "architecture": "image"}, None, 400),
        ({"owned_by": "llamacpp"}, {"modalities": {"vision": True, "audio": False}}, 200),
        ({"owned_by": "llamacpp"}, {"modalities": {"vision": False}}, 400),
    ],
)
async def test_a_provider_says_whether_a_model_sees(
    open_chat: OpenChat,
    person: User,
    model: ModelServer,
    row: dict[str, Any],
    props: dict[str, Any] | None,
    status: int,
) -> None:
    model.models, model.props = [{"id": "local", **row}], props
    shown = [{"type": "image_url", "image_url": {"url": data_url(png())}}]

    async with open_chat(llm_model="default") as client:
        body = {"model": "local", "messages": [{"role": "user", "content": shown}]}
        answer = await client.post("/api/v1/chat/completions", json=body, headers=person.headers)

    assert answer.status_code == status, answer.text


async def test_what_is_no_model_in_a_list_is_passed_over(
    open_chat: OpenChat, person: User, body: dict[str, Any], model: ModelServer, agent_id: str, neighbours: Neighbours
) -> None:
    model.models = ["junk", None, {"id": "local", "owned_by": "llamacpp"}]  # type: ignore[list-item] # as it comes
    model.props = {"default_generation_settings": {"n_ctx": 512}}

    async with open_chat(llm_model="default", answer_tokens=512) as client:
        client.headers.update(person.headers)
        answer = await client.post(MESSAGE, json=body)
        neighbours.agents[agent_id]["model"] = "unheard-of"
        unknown = await client.post(MESSAGE, json=body)

    assert (answer.status_code, model.asked[0]["max_tokens"]) == (200, 256)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "chat.model_unknown")
