"""When the model, a neighbour or the store fails."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from local.suite import Suite
from shared.redis import open_redis
from tests.fixtures.identity import User
from tests.fixtures.working_time import working_time
from tests.services.chat.client import OpenChat, events_of, until
from tests.services.chat.servers import ModelServer, Neighbours

MESSAGE = "/api/v1/chat/message"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def body(agent_id: str) -> dict[str, object]:
    return {"agent_id": agent_id, "content": "How long is the warranty?"}


async def messages_of(client: httpx.AsyncClient, conversation_id: str) -> list[str]:
    page = await client.get(f"/api/v1/chat/conversations/{conversation_id}/messages")
    return [message["role"] for message in page.json()["items"]]


async def test_without_a_model_the_message_is_kept(open_chat: OpenChat, body: dict[str, object], person: User) -> None:
    async with open_chat(llm_url=NOWHERE) as client:
        client.headers.update(person.headers)
        answer = await client.post(MESSAGE, json=body)
        kept = await messages_of(client, answer.json()["conversation_id"])

    assert (answer.status_code, answer.json()["code"]) == (503, "chat.model_unavailable")
    assert "model" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert kept == ["user"]


async def test_an_unanswered_message_can_be_followed_by_another(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer
) -> None:
    model.refuses = [(500, {}, {})]
    failed = await chat.post(MESSAGE, json=body)

    again = await chat.post(MESSAGE, json=body | {"conversation_id": failed.json()["conversation_id"]})

    assert again.status_code == 200
    assert await messages_of(chat, again.json()["conversation_id"]) == ["user", "user", "assistant"]
    assert [message["role"] for message in model.asked[-1]["messages"]] == ["system", "user"]


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (500, {}, (503, "chat.model_unavailable")),
        (503, {}, (503, "chat.model_unavailable")),
        (429, {}, (503, "chat.model_unavailable")),
        (401, {}, (502, "chat.model_refused")),
        (404, {"code": "model_not_found"}, (422, "chat.model_unknown")),
        (400, {"message": "no such parameter"}, (502, "chat.model_refused")),
    ],
)
async def test_what_the_model_refuses_is_told_apart(
    chat: httpx.AsyncClient,
    body: dict[str, object],
    model: ModelServer,
    status: int,
    error: dict[str, str],
    expected: tuple[int, str],
) -> None:
    model.refuses = [(status, {"error": error}, {})]

    answer = await chat.post(MESSAGE, json=body)

    assert (answer.status_code, answer.json()["code"]) == expected


async def test_a_busy_model_says_when_to_come_again(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer
) -> None:
    model.refuses = [(429, {}, {"retry-after": "7"})]

    answer = await chat.post(MESSAGE, json=body)

    assert answer.headers["retry-after"] == "7"


async def test_a_model_that_dies_while_writing_leaves_no_half_answer(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer
) -> None:
    model.breaks_after = 2

    answer = await chat.post(MESSAGE, json=body)

    assert (answer.status_code, answer.json()["code"]) == (503, "chat.model_unavailable")
    assert await messages_of(chat, answer.json()["conversation_id"]) == ["user"]


async def test_a_model_that_never_begins_is_left(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    model.is_silent = True

    async with open_chat(llm_first_token_seconds=0.2) as client:
        answer = await client.post(MESSAGE, json=body, headers=person.headers)
        while not model.asked:  # where the time was over before it was sent anything, nobody was left
            answer = await client.post(MESSAGE, json=body, headers=person.headers)
        await model.was_left.wait()

    assert (answer.status_code, answer.json()["code"]) == (504, "chat.model_timeout")


async def test_a_model_that_stops_in_the_middle_is_left(
    open_chat: OpenChat, body: dict[str, object], model: ModelServer, person: User
) -> None:
    model.go_on.clear()

    async with open_chat(llm_between_tokens_seconds=0.2) as client:
        answer = await client.post(MESSAGE, json=body, headers=person.headers)
        await model.was_left.wait()

    assert (answer.status_code, answer.json()["code"]) == (504, "chat.model_timeout")


async def test_a_turn_has_an_end(
    open_chat: OpenChat,
    body: dict[str, object],
    model: ModelServer,
    neighbours: Neighbours,
    agent_id: str,
    person: User,
) -> None:
    """While it waits for the model: a search that it has no time for says so itself."""
    neighbours.agents[agent_id]["knowledge"] = []
    model.go_on.clear()

    async with open_chat(run_seconds=0.2) as client:
        answer = await client.post(MESSAGE, json=body, headers=person.headers)

    assert (answer.status_code, answer.json()["code"]) == (504, "chat.model_timeout")


async def test_a_prompt_too_long_for_the_model_is_shortened_once(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer
) -> None:
    refusal = (400, {"error": {"type": "exceed_context_size_error"}}, dict[str, str]())
    model.refuses = [refusal]

    answer = await chat.post(MESSAGE, json=body)
    model.refuses = [refusal, refusal]
    refused = await chat.post(MESSAGE, json=body)

    assert answer.status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (502, "chat.model_refused")


async def test_a_provider_that_does_not_count_leaves_usage_open(
    chat: httpx.AsyncClient, body: dict[str, object], model: ModelServer
) -> None:
    model.usage = None

    answer = await chat.post(MESSAGE, json=body)

    assert (answer.status_code, answer.json()["usage"]) == (200, None)


async def test_an_agent_whose_knowledge_cannot_be_searched_does_not_guess(
    chat: httpx.AsyncClient, body: dict[str, object], neighbours: Neighbours, model: ModelServer
) -> None:
    neighbours.vectors_problem = (503, "vectors.engine_unavailable")

    answer = await chat.post(MESSAGE, json=body)

    assert (answer.status_code, answer.json()["code"]) == (503, "vectors.engine_unavailable")
    assert await messages_of(chat, answer.json()["conversation_id"]) == ["user"]
    assert not model.asked


@contextmanager
def frozen_server() -> Iterator[str]:
    """The address of a process that is stopped: the kernel accepts for it, and nothing ever answers."""
    script = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True);"
    with subprocess.Popen([sys.executable, "-c", script + "time.sleep(600)"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        process.send_signal(signal.SIGSTOP)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


async def test_a_frozen_neighbour_ends_the_run_and_frees_everything(
    open_chat: OpenChat, body: dict[str, object], neighbours: Neighbours, agent_id: str, person: User
) -> None:
    with frozen_server() as frozen:
        async with open_chat(services={"vectors": frozen}, search_seconds=0.5, max_runs=1) as client:
            client.headers.update(person.headers)
            async with (
                working_time() as took,
                client.stream("POST", MESSAGE, json=body | {"stream": True}) as response,
            ):
                events = [event async for event in events_of(response)]

            neighbours.agents[agent_id]["knowledge"] = []
            conversation = {"conversation_id": events[0].data["conversation_id"]}
            next_one = await client.post(MESSAGE, json=body | conversation)

    assert (events[-1].type, events[-1].data["code"]) == ("run.failed", "common.upstream_timeout")
    assert took.seconds < 5
    assert next_one.status_code == 200, next_one.text  # neither chat.run_active nor chat.overloaded


@pytest.mark.parametrize("missing", ["agents", "vectors"])
async def test_a_neighbour_that_is_away_is_named(
    open_chat: OpenChat, body: dict[str, object], person: User, missing: str
) -> None:
    async with open_chat(services={missing: NOWHERE}) as client:
        answer = await client.post(MESSAGE, json=body, headers=person.headers)

    assert (answer.status_code, answer.json()["detail"]) == (503, f"{missing} is not available right now.")


async def test_without_redis_every_answer_comes_quickly_and_names_it(
    open_chat: OpenChat, body: dict[str, object], person: User
) -> None:
    async with open_chat(redis_url="redis://127.0.0.1:1/0") as client:
        client.headers.update(person.headers)
        async with working_time() as took:
            answers = [await client.post(MESSAGE, json=body), await client.get("/api/v1/chat/conversations")]
            ready = await client.get("/health/ready")

    assert took.seconds < 10
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
        (503, "redis is not available right now.")
    }
    assert (ready.status_code, ready.json()["checks"]["redis"]["status"]) == (503, "fail")


async def test_a_full_redis_is_not_our_fault(chat: httpx.AsyncClient, body: dict[str, object], suite: Suite) -> None:
    async with open_redis(suite.url("redis")) as redis:
        before = str((await redis.config_get("maxmemory"))["maxmemory"])
        await redis.config_set("maxmemory", "1")
        try:
            answer = await chat.post(MESSAGE, json=body)
        finally:
            await redis.config_set("maxmemory", before)

    assert (answer.status_code, answer.json()["code"]) == (503, "common.unavailable")


async def test_a_model_that_is_down_is_only_a_warning(open_chat: OpenChat, agent_id: str) -> None:
    async with open_chat(llm_url=NOWHERE) as client:
        told = list[httpx.Response]()

        async def is_ready() -> bool:  # its stores answer in time, if not at the first look
            told.append(await client.get("/health/ready"))
            return told[-1].status_code == 200

        await until(is_ready)

    assert told[-1].json()["status"] == "warn"
    assert told[-1].json()["checks"]["model"]["status"] == "warn"
