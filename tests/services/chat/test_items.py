"""Conversations as OpenAI's clients know them: the same that `/chat/conversations` shows, item by item."""

import asyncio
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.items import repository
from services.chat.storage import Keys
from shared.redis import open_redis
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.chat.client import OpenChat
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.chat.test_keeping import counts, held

API, CHAT, MESSAGE = "/api/v1/conversations", "/api/v1/chat/conversations", "/api/v1/chat/message"
USER = {"type": "message", "role": "user", "content": "What is the weather in Ulm?"}
CALL = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"city": "Ulm"}'}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "Rain."}
ANSWER = {"role": "assistant", "content": [{"type": "output_text", "text": "It rains.", "annotations": []}]}
ALL = [{"role": "developer", "content": "Be brief."}, USER, CALL, RESULT, ANSWER]
Made = dict[str, Any]


async def begin(chat: httpx.AsyncClient, *items: Any, **more: Any) -> str:
    answer = await chat.post(API, json={"items": list(items)}, **more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def add(chat: httpx.AsyncClient, name: str, *items: Any, **more: Any) -> httpx.Response:
    return await chat.post(f"{API}/{name}/items", json={"items": list(items)}, **more)


async def items_of(chat: httpx.AsyncClient, name: str, **query: Any) -> Made:
    answer = await chat.get(f"{API}/{name}/items", params={"order": "asc"} | query)
    return dict(answer.raise_for_status().json())


async def say(chat: httpx.AsyncClient, agent_id: str, content: str, **members: Any) -> httpx.Response:
    return await chat.post(MESSAGE, json={"agent_id": agent_id, "content": content} | members)


def bare(name: str) -> str:
    return name.removeprefix("conv_")


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def said(items: Made) -> list[str]:
    """The texts of messages."""
    return [one["content"][0]["text"] for one in items["data"]]


async def test_what_is_put_there_comes_back_as_it_was(chat: httpx.AsyncClient) -> None:
    name = await begin(chat, *ALL)

    items = await items_of(chat, name)

    first, asked, call, result, answer = items["data"]
    assert (items["object"], items["has_more"]) == ("list", False)
    assert (items["first_id"], items["last_id"]) == (first["id"], answer["id"])
    assert (first["role"], first["content"]) == ("developer", [{"type": "input_text", "text": "Be brief."}])
    assert (asked["type"], asked["status"], asked["content"][0]["text"]) == ("message", "completed", USER["content"])
    assert {one: call[one] for one in CALL} == CALL
    assert {one: result[one] for one in RESULT} == RESULT
    assert answer["content"] == [{"type": "output_text", "text": "It rains.", "annotations": [], "logprobs": []}]
    assert [one["id"].partition("_")[0] for one in items["data"]] == ["msg", "msg", "fc", "fco", "msg"]
    for one in items["data"]:
        assert (await chat.get(f"{API}/{name}/items/{one['id']}")).json() == one


async def test_both_doors_show_the_same_conversation(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    name = await begin(chat, *ALL)
    before = (await chat.get(f"{CHAT}/{bare(name)}")).json()
    listed = (await chat.get(CHAT)).json()["items"]
    found = (await chat.get(CHAT, params={"q": "rains"})).json()["items"]

    answered = await say(chat, agent_id, "And tomorrow?", conversation_id=bare(name))

    after = (await chat.get(f"{CHAT}/{bare(name)}")).json()
    messages = (await chat.get(f"{CHAT}/{bare(name)}/messages")).json()["items"]
    assert (before["agent_id"], before["title"], before["message_count"]) == (None, USER["content"], 5)
    assert [one["id"] for one in (*listed, *found)] == [bare(name)] * 2
    assert answered.status_code == 200, answered.text
    assert (after["agent_id"], after["title"], after["message_count"]) == (agent_id, USER["content"], 7)
    roles = ["developer", "user", "assistant", "tool", "assistant", "user", "assistant"]
    assert [one["role"] for one in messages] == roles
    assert messages[2]["tool_call"] == {"id": "c1", "name": "look", "arguments": CALL["arguments"]}
    assert (messages[3]["tool_call_id"], messages[3]["content"]) == ("c1", "Rain.")
    assert [one["run_id"] for one in messages] == [None] * 5 + [answered.json()["run_id"]] * 2
    told = [(one["role"], one["content"]) for one in model.asked[-1]["messages"][1:]]
    assert told == [("user", USER["content"]), ("assistant", "It rains."), ("user", "And tomorrow?")]
    assert [f"msg_{one['id']}" for one in messages[5:]] == [
        one["id"] for one in (await items_of(chat, name))["data"][5:]
    ]


async def test_a_conversation_that_a_message_began_has_its_items(chat: httpx.AsyncClient, agent_id: str) -> None:
    begun = (await say(chat, agent_id, "How long is the warranty?", metadata={"team": "a", "level": 3})).json()
    name = f"conv_{begun['conversation_id']}"

    read = (await chat.get(f"{API}/{name}")).json()
    answer = (await items_of(chat, name))["data"][1]

    assert (read["id"], read["object"], read["metadata"]) == (name, "conversation", {"team": "a", "level": 3})
    assert answer["id"] == f"msg_{begun['message']['id']}"
    assert answer["citations"] == begun["message"]["citations"] != []


async def test_an_empty_conversation_has_its_title_and_agent_from_its_first_message(
    chat: httpx.AsyncClient, agent_id: str, neighbours: Neighbours
) -> None:
    other = new_id()
    neighbours.agents[other] = neighbours.agents[agent_id] | {"id": other}
    name = await begin(chat)
    empty = (await chat.get(f"{CHAT}/{bare(name)}")).json()
    again = await chat.post(f"{CHAT}/{bare(name)}/regenerate", json={})

    await say(chat, agent_id, "Hello there", conversation_id=bare(name))
    refused = await say(chat, other, "Hello", conversation_id=bare(name))

    after = (await chat.get(f"{CHAT}/{bare(name)}")).json()
    assert (empty["title"], empty["agent_id"], empty["message_count"]) == ("", None, 0)
    assert (again.status_code, again.json()["code"]) == (409, "chat.nothing_to_answer")
    assert (after["title"], after["agent_id"], after["message_count"]) == ("Hello there", agent_id, 2)
    assert refused.json()["code"] == "chat.conversation_of_other_agent"
    assert [one["id"] for one in (await chat.get(CHAT, params={"agent_id": agent_id})).json()["items"]] == [bare(name)]


@pytest.mark.parametrize("calls", [1, 9])
async def test_what_was_put_last_is_answered_by_regenerating(
    chat: httpx.AsyncClient, agent_id: str, calls: int
) -> None:
    began = (await say(chat, agent_id, "One")).json()["conversation_id"]
    await add(chat, f"conv_{began}", USER, *[CALL, RESULT] * calls)

    answered = await chat.post(f"{CHAT}/{began}/regenerate", json={})

    messages = (await chat.get(f"{CHAT}/{began}/messages")).json()["items"]
    assert answered.status_code == 200, answered.text
    assert [one["role"] for one in messages] == ["user", "assistant", "user", "assistant"]
    assert messages[2]["content"] == USER["content"]
    assert (await chat.get(f"{CHAT}/{began}")).json()["message_count"] == 4


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_follow_each_other_either_way(chat: httpx.AsyncClient, order: str) -> None:
    name = await begin(chat, *[{"role": "user", "content": f"n{number}"} for number in range(5)])
    seen, after, pages = list[str](), dict[str, str](), 0

    while True:
        page = await items_of(chat, name, limit=2, order=order, **after)
        seen += said(page)
        pages += 1
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}

    expected = [f"n{number}" for number in range(5)]
    assert (seen, pages) == (expected if order == "asc" else expected[::-1], 3)


async def test_the_newest_come_first_unless_told(chat: httpx.AsyncClient) -> None:
    name = await begin(chat, *[{"role": "user", "content": f"n{number}"} for number in range(2)])

    found = (await chat.get(f"{API}/{name}/items")).json()

    assert said(found) == ["n1", "n0"]


@pytest.mark.parametrize("apart_ms", [-3_600_000, 3_600_000])
async def test_an_item_is_found_however_far_clocks_are_apart(
    chat: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, apart_ms: int
) -> None:
    name = await begin(chat, *[{"role": "user", "content": f"n{number}"} for number in range(20)])
    monkeypatch.setattr(repository, "_APART_MS", apart_ms)

    items = (await items_of(chat, name))["data"]
    found = [(await chat.get(f"{API}/{name}/items/{one['id']}")).json() for one in items]

    assert found == items


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"type": "reasoning", "summary": []}, "items[0].type: is reasoning, which is not supported here"),
        ({"type": "web_search_call", "id": "ws_1"}, "items[0].type: is web_search_call, which is not supported here"),
        ({"type": "item_reference", "id": "msg_1"}, "items[0].type: is item_reference"),
        (USER | {"content": [{"type": "input_file", "file_id": "x"}]}, "items[0].content: has a part input_file"),
        (USER | {"content": [{"type": "input_text", "text": "x", "detail": 1}]}, "items[0].content: has a part with"),
        (ANSWER | {"phase": "commentary"}, "items[0].phase: is not supported here"),
        (CALL | {"role": "user"}, "items[0]: of the type function_call has no role"),
        (CALL | {"name": None}, "items[0]: of the type function_call needs name"),
        ({"role": "user"}, "items[0]: of the type message needs content"),
        (USER | {"whatever": 1}, "items[0].whatever"),
    ],
)
async def test_what_cannot_be_kept_is_refused_by_name(chat: httpx.AsyncClient, item: Made, told: str) -> None:
    begun = await chat.post(API, json={"items": [item]})

    assert code(begun) == (400, "common.invalid")
    assert told in begun.json()["error"]["message"]
    assert (await chat.get(CHAT)).json()["items"] == []


async def test_items_are_put_there_together_or_not_at_all(open_chat: OpenChat, person: User) -> None:
    async with open_chat(max_messages=3, max_conversations=1) as chat:
        chat.headers.update(person.headers)
        name = await begin(chat, USER, ANSWER)

        answers = [
            await add(chat, name, USER, ANSWER),
            await add(chat, name, *[USER] * 21),
            await add(chat, name),
            await add(chat, name, USER, {"role": "user", "content": [{"type": "input_file"}]}),
            await add(chat, f"conv_{new_id()}", USER),
            await chat.post(API, json={}),
        ]

        assert [code(answer)[1] for answer in answers] == [
            "chat.conversation_full",
            "common.invalid",
            "common.invalid",
            "common.invalid",
            "chat.conversation_not_found",
            "chat.too_many_conversations",
        ]
        assert len((await items_of(chat, name))["data"]) == 2


async def test_a_repetition_makes_nothing_twice(chat: httpx.AsyncClient) -> None:
    keys = [{"Idempotency-Key": new_id()} for _ in range(2)]
    begun = await asyncio.gather(*[chat.post(API, json={"items": [USER]}, headers=keys[0]) for _ in range(2)])
    name = str(next(one.json()["id"] for one in begun if one.status_code == 200))
    added = await add(chat, name, CALL, RESULT, headers=keys[1])

    again = await chat.post(API, json={"items": [USER]}, headers=keys[0])
    more = await add(chat, name, CALL, RESULT, headers=keys[1])
    other = await add(chat, name, ANSWER, headers=keys[1])
    await chat.delete(f"{API}/{name}/items/{added.json()['first_id']}")
    less = await add(chat, name, CALL, RESULT, headers=keys[1])

    assert {one.json()["id"] for one in begun if one.status_code == 200} == {name} == {again.json()["id"]}
    assert (again.headers["idempotency-replayed"], more.headers["idempotency-replayed"]) == ("true", "true")
    assert more.json() == added.json()
    assert [one["id"] for one in less.json()["data"]] == [added.json()["last_id"]]
    assert code(other)[1] == "common.idempotency_key_reused"
    assert len((await items_of(chat, name))["data"]) == 2


async def test_a_deleted_item_leaves_nothing_behind(
    chat: httpx.AsyncClient, agent_id: str, suite: Suite, person: User
) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    name = await begin(chat, USER, ANSWER)
    other, gone = [one["id"] for one in (await items_of(chat, name))["data"]]
    before = (await chat.get(f"{CHAT}/{bare(name)}")).json()
    async with open_redis(suite.url("redis")) as redis:
        await redis.set(Keys(owner).summary(bare(name)), b'{"text":"It rains.","message_id":"m"}')

        answer = await chat.delete(f"{API}/{name}/items/{gone}")

        assert await redis.exists(Keys(owner).summary(bare(name))) == 0
        kept = await held(redis, owner, bare(name))
        assert await counts(redis, owner) == (kept, kept)
    after = (await chat.get(f"{CHAT}/{bare(name)}")).json()
    assert (answer.json()["id"], answer.json()["object"]) == (name, "conversation")
    assert [one["id"] for one in (await items_of(chat, name))["data"]] == [other]
    assert code(await chat.get(f"{API}/{name}/items/{gone}")) == (404, "chat.message_not_found")
    assert code(await chat.delete(f"{API}/{name}/items/{gone}")) == (404, "chat.message_not_found")
    assert (await chat.get(CHAT, params={"q": "rains"})).json()["items"] == []
    assert (after["message_count"], after["last_activity_at"]) == (1, before["last_activity_at"])


async def test_a_title_goes_with_the_message_that_it_was_made_of(chat: httpx.AsyncClient, agent_id: str) -> None:
    made, renamed = await begin(chat, USER, ANSWER), await begin(chat, USER, ANSWER)
    await chat.patch(f"{CHAT}/{bare(renamed)}", json={"title": "Weather of Ulm"})
    for name in (made, renamed):
        question = (await items_of(chat, name))["first_id"]
        await chat.delete(f"{API}/{name}/items/{question}")
    titles = [(await chat.get(f"{CHAT}/{bare(name)}")).json()["title"] for name in (made, renamed)]
    found = (await chat.get(CHAT, params={"q": "ulm"})).json()["items"]

    await say(chat, agent_id, "Hello there", conversation_id=bare(made))

    assert titles == ["", "Weather of Ulm"]
    assert [one["id"] for one in found] == [bare(renamed)]
    assert (await chat.get(f"{CHAT}/{bare(made)}")).json()["title"] == "Hello there"


async def test_an_item_is_no_item_under_another_kind_of_id_or_in_another_conversation(chat: httpx.AsyncClient) -> None:
    name, other = await begin(chat, CALL), await begin(chat)
    call = (await items_of(chat, name))["first_id"]

    answers = [
        await chat.get(f"{API}/{name}/items/{call.replace('fc_', 'msg_')}"),
        await chat.get(f"{API}/{other}/items/{call}"),
        await chat.delete(f"{API}/{other}/items/{call}"),
        await chat.get(f"{API}/{name}/items", params={"after": f"msg_{new_id()}"}),
    ]

    assert {code(answer) for answer in answers} == {(404, "chat.message_not_found")}
    assert code(await chat.get(f"{API}/{bare(name)}")) == (400, "common.invalid")
    assert (await items_of(chat, name))["first_id"] == call


async def test_nothing_is_put_or_taken_while_an_answer_is_made(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    name = await begin(chat, USER)
    item = (await items_of(chat, name))["first_id"]
    model.go_on.clear()
    body = {"agent_id": agent_id, "content": "Now?", "conversation_id": bare(name), "stream": True}

    async with chat.stream("POST", MESSAGE, json=body) as response:
        lines = response.aiter_lines()
        await anext(lines)
        answers = [await add(chat, name, USER), await chat.delete(f"{API}/{name}/items/{item}")]
        model.go_on.set()
        assert "event: run.completed" in [line async for line in lines]

    assert {code(answer) for answer in answers} == {(409, "chat.run_active")}
    assert (await chat.delete(f"{API}/{name}/items/{item}")).status_code == 200
    assert (await add(chat, name, USER)).status_code == 200


async def test_metadata_are_replaced_whole_and_seen_through_both_doors(chat: httpx.AsyncClient) -> None:
    name = str((await chat.post(API, json={"metadata": {"team": "a", "long": "x" * 512}})).json()["id"])

    changed = await chat.post(f"{API}/{name}", json={"metadata": {"team": "b"}})
    found = (await chat.get(CHAT, params={"metadata": "team=b"})).json()["items"]
    emptied = await chat.post(f"{API}/{name}", json={"metadata": None})
    left_out = await chat.post(f"{API}/{name}", json={})

    assert (changed.json()["metadata"], emptied.json()["metadata"]) == ({"team": "b"}, {})
    assert [(one["id"], one["metadata"]) for one in found] == [(bare(name), {"team": "b"})]
    assert code(left_out) == (400, "common.invalid")


async def test_whoever_else_asks_finds_none(
    chat: httpx.AsyncClient, agent_id: str, register_user: RegisterUser
) -> None:
    name = await begin(chat, USER)
    item = (await items_of(chat, name))["first_id"]
    stranger = (await register_user()).headers

    answers = [
        await chat.get(f"{API}/{name}", headers=stranger),
        await chat.post(f"{API}/{name}", json={"metadata": {}}, headers=stranger),
        await chat.delete(f"{API}/{name}", headers=stranger),
        await chat.get(f"{API}/{name}/items", headers=stranger),
        await add(chat, name, USER, headers=stranger),
        await chat.get(f"{API}/{name}/items/{item}", headers=stranger),
        await chat.delete(f"{API}/{name}/items/{item}", headers=stranger),
    ]

    assert {code(answer) for answer in answers} == {(404, "chat.conversation_not_found")}
    assert len((await items_of(chat, name))["data"]) == 1


async def test_a_deleted_conversation_is_gone_for_both_doors(chat: httpx.AsyncClient) -> None:
    name = await begin(chat, USER)

    answer = await chat.delete(f"{API}/{name}")

    assert answer.json() == {"id": name, "object": "conversation.deleted", "deleted": True}
    assert code(await chat.get(f"{API}/{name}/items")) == (404, "chat.conversation_not_found")
    assert (await chat.get(f"{CHAT}/{bare(name)}")).status_code == 404


async def test_what_items_hold_is_counted_and_bounded(open_chat: OpenChat, person: User, suite: Suite) -> None:
    owner = Owner(person.tenant_id, person.user_id)
    async with open_chat(kept_mib_user=1) as chat, open_redis(suite.url("redis")) as redis:
        chat.headers.update(person.headers)
        large = {"role": "user", "content": "x" * 250_000}
        name = await begin(chat, large, large, large)

        refused = [await add(chat, name, large, large), await chat.post(API, json={"items": [large, large]})]

        kept = await held(redis, owner, bare(name))
        assert {code(answer) for answer in refused} == {(409, "chat.kept_too_much")}
        assert await counts(redis, owner) == (kept, kept)
        await chat.delete(f"{API}/{name}")
        assert await counts(redis, owner) == (0, 0)
        await begin(chat, large, large)
