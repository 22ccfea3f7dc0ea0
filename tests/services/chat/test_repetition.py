"""A message that is repeated under its key: there is one run."""

import asyncio

import httpx
import pytest

from shared.schemas import new_id
from tests.fixtures.identity import User
from tests.services.chat.client import OpenChat
from tests.services.chat.servers import ModelServer

MESSAGE = "/api/v1/chat/message"


@pytest.fixture
def headers() -> dict[str, str]:
    return {"Idempotency-Key": new_id()}


@pytest.fixture(params=[False, True], ids=["answer", "stream"])
def body(agent_id: str, request: pytest.FixtureRequest) -> dict[str, object]:
    return {"agent_id": agent_id, "content": "How long is the warranty?", "stream": request.param}


async def test_a_repetition_finds_the_run(
    chat: httpx.AsyncClient, body: dict[str, object], headers: dict[str, str], model: ModelServer
) -> None:
    first = await chat.post(MESSAGE, json=body, headers=headers)

    again = await chat.post(MESSAGE, json=body, headers=headers)
    other = await chat.post(MESSAGE, json=body | {"content": "Another question"}, headers=headers)

    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "common.idempotency_key_reused")
    assert len(model.asked) == 1


async def test_another_replica_joins_a_run(
    open_chat: OpenChat,
    body: dict[str, object],
    headers: dict[str, str],
    model: ModelServer,
    person: User,
) -> None:
    model.go_on.clear()
    async with open_chat() as one, open_chat() as other:
        first = asyncio.create_task(one.post(MESSAGE, json=body, headers=headers | person.headers))
        await model.is_generating.wait()
        again = asyncio.create_task(other.post(MESSAGE, json=body, headers=headers | person.headers))
        model.go_on.set()
        answers = [await first, await again]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert len(model.asked) == 1


async def test_a_run_that_failed_is_run_again_for_an_answer(
    chat: httpx.AsyncClient, agent_id: str, headers: dict[str, str], model: ModelServer
) -> None:
    body = {"agent_id": agent_id, "content": "Hello"}
    model.breaks_after = 1
    refused = await chat.post(MESSAGE, json=body, headers=headers)
    model.breaks_after = None

    again = await chat.post(MESSAGE, json=body, headers=headers)

    assert (refused.status_code, again.status_code) == (503, 200)
    assert "idempotency-replayed" not in again.headers
    assert again.json()["run_id"] != refused.json()["run_id"]


async def test_two_at_once_on_two_replicas_begin_one_run(
    open_chat: OpenChat,
    body: dict[str, object],
    headers: dict[str, str],
    model: ModelServer,
    person: User,
) -> None:
    async with open_chat() as one, open_chat() as other:
        asking = [
            asyncio.create_task(client.post(MESSAGE, json=body, headers=headers | person.headers))
            for client in (one, other)
        ]
        answers = await asyncio.gather(*asking)

    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    assert len(model.asked) == 1
