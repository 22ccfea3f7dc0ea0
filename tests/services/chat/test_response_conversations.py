"""Responses that are answered in a conversation, which gets what was said."""

import asyncio
from datetime import datetime
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.keeping import kept_bytes, kept_keys
from services.chat.storage import Keys
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.chat.client import OpenChat, until
from tests.services.chat.processes import StartProcess
from tests.services.chat.responding import ANSWER, QUESTION, RESPONSES, WEATHER, asking, created, streamed
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_tools import WEATHER as OWN

CONVERSATIONS = "/api/v1/conversations"


@pytest.fixture
async def conversation(chat: httpx.AsyncClient) -> str:
    """One with a rule and a question in it."""
    items = [{"role": "developer", "content": "Be short."}, {"role": "user", "content": "Hello?"}]
    return str((await chat.post(CONVERSATIONS, json={"items": items})).json()["id"])


async def items_of(chat: httpx.AsyncClient, conversation: str) -> list[dict[str, Any]]:
    answer = await chat.get(f"{CONVERSATIONS}/{conversation}/items", params={"order": "asc", "limit": 100})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def text_in(item: dict[str, Any]) -> str:
    return str(item["content"][0]["text"])


async def test_it_is_told_all_and_gets_input_and_answer(
    chat: httpx.AsyncClient, conversation: str, model: ModelServer
) -> None:
    first = await created(chat, conversation=conversation)
    second = await created(chat, conversation={"id": conversation}, input="Sure?")

    assert (first["conversation"], second["conversation"]) == ({"id": conversation}, {"id": conversation})
    assert [(one["role"], one["content"]) for one in model.asked[1]["messages"]] == [
        ("system", "Be short."),
        ("user", "Hello?"),
        ("user", QUESTION),
        ("assistant", ANSWER),
        ("user", "Sure?"),
    ]
    items = await items_of(chat, conversation)
    assert [text_in(one) for one in items] == ["Be short.", "Hello?", QUESTION, ANSWER, "Sure?", ANSWER]
    assert [one["id"] for one in items[3::2]] == [first["output"][0]["id"], second["output"][0]["id"]]
    said = await chat.get(f"{CONVERSATIONS}/{conversation}/items/{first['output'][0]['id']}")
    assert text_in(said.json()) == ANSWER
    assert (await chat.get(f"{RESPONSES}/{second['id']}")).json() == second


async def test_a_conversation_has_its_title_with_its_first_messages(
    chat: httpx.AsyncClient, model: ModelServer, suite: Suite, person: User
) -> None:
    """Of what was never answered it gets nothing."""
    name = str((await chat.post(CONVERSATIONS, json={})).json()["id"])
    place, id_ = f"/api/v1/chat/conversations/{name.removeprefix('conv_')}", name.removeprefix("conv_")
    model.refuses = [(400, {}, {})]
    failed = await chat.post(RESPONSES, json=asking(conversation=name, input="Never answered."))
    before = await chat.get(place)
    async with open_redis(suite.url("redis")) as redis:
        left = await redis.exists(Keys(Owner(person.tenant_id, person.user_id)).words(id_))

    await created(chat, conversation=name)
    after = await chat.get(place, headers={"If-None-Match": before.headers["etag"]})

    assert (failed.status_code, before.json()["title"], left) == (502, "", 0)
    assert (after.status_code, after.json()["title"]) == (200, QUESTION)
    found = (await chat.get("/api/v1/chat/conversations", params={"q": "warranty"})).json()["items"]
    assert [one["id"] for one in found] == [id_]


async def test_it_is_the_conversation_of_the_other_door(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    begun = (await chat.post("/api/v1/chat/message", json={"agent_id": agent_id, "content": QUESTION})).json()
    id_ = begun["conversation_id"]

    told = await created(chat, model=agent_id, conversation=f"conv_{id_}", input="Sure?")

    messages = (await chat.get(f"/api/v1/chat/conversations/{id_}/messages")).json()["items"]
    assert [(one["role"], one["run_id"]) for one in messages][2:] == [
        ("user", told["run_id"]),
        ("assistant", told["run_id"]),
    ]
    assert [one["record_id"] for one in messages[3]["citations"] if one["referenced"]] == ["r1"]
    assert (await chat.get(f"/api/v1/chat/runs/{told['run_id']}")).json()["conversation_id"] == id_
    found = (await chat.get(f"/api/v1/chat/conversations/{id_}")).json()
    assert (found["message_count"], found["agent_id"]) == (4, agent_id)


async def test_calls_and_their_results_stand_in_it(
    chat: httpx.AsyncClient, conversation: str, model: ModelServer
) -> None:
    model.scripted = [calls(("get_weather", {"city": "Ghent"}), text="Let me look."), says("Rain.")]
    first = await created(chat, conversation=conversation, tools=[WEATHER])
    result = {"type": "function_call_output", "call_id": "c0", "output": "rain"}

    await created(chat, conversation=conversation, tools=[WEATHER], input=[result])

    items = await items_of(chat, conversation)
    assert [one["type"] for one in items[2:]] == [
        *("message", "message", "function_call", "function_call_output", "message"),
    ]
    assert [one["id"] for one in items[3:5]] == [one["id"] for one in first["output"]]
    assert [one["phase"] for one in first["output"] if one["type"] == "message"] == ["commentary"]


async def test_while_it_is_answered_in_nobody_else_is(
    chat: httpx.AsyncClient, conversation: str, model: ModelServer
) -> None:
    model.go_on.clear()
    under_way = await created(chat, conversation=conversation, background=True)
    await model.is_generating.wait()

    busy = await chat.post(RESPONSES, json=asking(conversation=conversation))
    put = await chat.post(f"{CONVERSATIONS}/{conversation}/items", json={"items": [{"role": "user", "content": "x"}]})

    assert {busy.json()["error"]["code"], put.json()["error"]["code"]} == {"chat.run_active"}
    assert (busy.status_code, len(await items_of(chat, conversation))) == (409, 2)
    model.go_on.set()

    async def is_there() -> bool:
        return len(await items_of(chat, conversation)) == 4

    await until(is_there)
    assert (await chat.get(f"{RESPONSES}/{under_way['id']}")).json()["status"] == "completed"
    await created(chat, conversation=conversation)


async def test_its_time_begins_anew_where_it_is_answered_in(
    chat: httpx.AsyncClient, conversation: str, model: ModelServer, person: User, suite: Suite
) -> None:
    """And not where it has been answered: it could be forgotten before."""
    owner, id_ = Owner(person.tenant_id, person.user_id), conversation.removeprefix("conv_")
    keys, path = Keys(owner), f"/api/v1/chat/conversations/{conversation.removeprefix('conv_')}"
    names = [keys.conversations, keys.conversation(id_), keys.messages(id_), keys.words(id_), *kept_keys(owner)]
    before = await chat.get(path)
    model.go_on.clear()
    async with open_redis(suite.url("redis")) as redis:
        for name in names:
            await redis.expire(name, 600)
        await created(chat, conversation=conversation, background=True)
        await model.is_generating.wait()
        left = [await redis.ttl(name) for name in names]
        since = await redis.zscore(keys.conversations, id_) or 0
        after = await chat.get(path)
        model.go_on.set()

    assert all(seconds > 86_400 for seconds in left)
    assert since > datetime.fromisoformat(before.json()["last_activity_at"]).timestamp() * 1000
    assert after.json()["last_activity_at"] > before.json()["last_activity_at"]
    assert after.headers["etag"] != before.headers["etag"]


async def test_what_fails_or_is_cancelled_leaves_it_as_it_was(
    chat: httpx.AsyncClient, conversation: str, model: ModelServer
) -> None:
    model.refuses.append((500, {}, {}))
    failed = await chat.post(RESPONSES, json=asking(conversation=conversation))
    model.go_on.clear()
    told = await created(chat, conversation=conversation, background=True)
    await model.is_generating.wait()
    await chat.post(f"{RESPONSES}/{told['id']}/cancel")
    model.go_on.set()

    assert failed.status_code >= 500
    assert len(await items_of(chat, conversation)) == 2
    await created(chat, conversation=conversation)
    assert len(await items_of(chat, conversation)) == 4


async def test_one_whose_process_dies_leaves_it_free(
    start_process: StartProcess, open_chat: OpenChat, person: User, model: ModelServer
) -> None:
    async with open_chat() as other:
        other.headers.update(person.headers)
        id_ = (await other.post(CONVERSATIONS, json={})).json()["id"]
        model.go_on.clear()
        async with start_process() as (process, client):
            told = await created(client, conversation=id_, background=True)
            await model.is_generating.wait()
            process.kill()

        async def has_failed() -> bool:
            return str((await other.get(f"{RESPONSES}/{told['id']}")).json()["status"]) == "failed"

        await until(has_failed)
        model.go_on.set()
        await created(other, conversation=id_)

        assert len(await items_of(other, id_)) == 2


async def test_one_that_waits_for_an_approval_says_all_when_it_goes_on(
    chat: httpx.AsyncClient, agent_id: str, conversation: str, model: ModelServer, neighbours: Neighbours
) -> None:
    neighbours.agents[agent_id]["tools"] = ["weather.now"]
    neighbours.tools = [OWN | {"needs_approval": True}]
    model.scripted = [calls(("weather_now", {"city": "Ulm"}), text="Let me look."), says("It rains.")]

    *_, error = await streamed(chat, asking(agent_id, conversation=conversation))
    place = error["message"].split("POST ")[1].split(",")[0]
    assert (await chat.post(place, json={"approve": True})).status_code == 200

    async def is_there() -> bool:
        return len(await items_of(chat, conversation)) == 5

    await until(is_there)
    assert [text_in(one) for one in await items_of(chat, conversation)][2:] == [QUESTION, "Let me look.", "It rains."]


async def test_a_repetition_says_it_once(chat: httpx.AsyncClient, conversation: str, model: ModelServer) -> None:
    headers = {"Idempotency-Key": "response-1"}
    first, again = [
        (await chat.post(RESPONSES, json=asking(conversation=conversation), headers=headers)).json() for _ in range(2)
    ]

    assert first == again
    assert len(await items_of(chat, conversation)) == 4


async def test_an_item_that_comes_meanwhile_is_answered_too(
    chat: httpx.AsyncClient, conversation: str, model: ModelServer
) -> None:
    put = {"items": [{"role": "user", "content": "And now?"}]}
    answers = await asyncio.gather(
        *[chat.post(f"{CONVERSATIONS}/{conversation}/items", json=put) for _ in range(3)],
        *[chat.post(RESPONSES, json=asking(conversation=conversation)) for _ in range(3)],
    )

    assert {one.status_code for one in answers} <= {200, 409}
    items = await items_of(chat, conversation)
    assert len(items) == 2 + sum(one.is_success for one in answers[:3]) + 2 * sum(one.is_success for one in answers[3:])
    for asked in model.asked:
        told = [one["content"] for one in asked["messages"]]
        texts = [text_in(one) for one in items]
        assert told == texts[: len(told)]


async def test_no_other_conversation_is_answered_in(
    chat: httpx.AsyncClient, conversation: str, register_user: RegisterUser, model: ModelServer
) -> None:
    stranger = await register_user()
    first = await created(chat)
    asked = len(model.asked)

    for id_, who in ((conversation, stranger.headers), (f"conv_{new_id()}", {})):
        refused = await chat.post(RESPONSES, json=asking(conversation=id_), headers=who)
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (404, "conversation")
    two = await chat.post(RESPONSES, json=asking(conversation=conversation, previous_response_id=first["id"]))

    assert (two.status_code, two.json()["error"]["param"]) == (400, "conversation")
    assert len(model.asked) == asked


async def test_a_response_of_it_is_deleted_and_its_items_stay(
    chat: httpx.AsyncClient, conversation: str, model: ModelServer
) -> None:
    first = await created(chat, conversation=conversation)
    model.go_on.clear()
    model.is_generating.clear()
    await created(chat, conversation=conversation, background=True)
    await model.is_generating.wait()

    assert (await chat.delete(f"{RESPONSES}/{first['id']}")).status_code == 200

    busy = await chat.post(RESPONSES, json=asking(conversation=conversation))
    model.go_on.set()
    assert busy.status_code == 409, "the run under way has lost its claim"
    assert len(await items_of(chat, conversation)) >= 4


async def test_with_the_conversation_go_its_responses(
    chat: httpx.AsyncClient, conversation: str, person: User, suite: Suite
) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    told = await created(chat, conversation=conversation)
    async with open_redis(suite.url("redis")) as redis:
        kept = await kept_bytes(redis, owner, of_tenant=False)
        assert kept > len(QUESTION) + len(ANSWER)
        await chat.delete(f"{CONVERSATIONS}/{conversation}")

        assert (await chat.get(f"{RESPONSES}/{told['id']}")).status_code == 404
        assert await kept_bytes(redis, owner, of_tenant=False) == 0


async def test_a_conversation_that_is_full_is_refused(open_chat: OpenChat, person: User, model: ModelServer) -> None:
    async with open_chat(max_messages=4) as chat:
        chat.headers.update(person.headers)
        id_ = (await chat.post(CONVERSATIONS, json={})).json()["id"]
        await created(chat, conversation=id_)
        await created(chat, conversation=id_)

        refused = await chat.post(RESPONSES, json=asking(conversation=id_))

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "chat.conversation_full")


async def test_one_that_is_not_stored_joins_it_too(chat: httpx.AsyncClient, conversation: str) -> None:
    told = await created(chat, conversation=conversation, store=False)

    assert [text_in(one) for one in await items_of(chat, conversation)][2:] == [QUESTION, ANSWER]
    assert (await chat.get(f"{RESPONSES}/{told['id']}")).status_code == 404


async def test_a_message_that_waits_for_it_is_answered_then(
    chat: httpx.AsyncClient, agent_id: str, conversation: str, model: ModelServer
) -> None:
    model.go_on.clear()
    await created(chat, conversation=conversation, background=True)
    await model.is_generating.wait()
    message = {
        "agent_id": agent_id,
        "conversation_id": conversation.removeprefix("conv_"),
        "content": "And now?",
        "on_busy": "enqueue",
    }
    waiting = asyncio.create_task(chat.post("/api/v1/chat/message", json=message))

    async def waits() -> bool:
        runs = await chat.post(RESPONSES, json=asking(conversation=conversation))
        return runs.status_code == 409

    await until(waits)
    model.go_on.set()

    assert (await waiting).status_code == 200
    texts = [text_in(one) for one in await items_of(chat, conversation)]
    assert texts[2:] == [QUESTION, ANSWER, "And now?", ANSWER]
