"""Conversations are found again: by their words, their agent and what their owner noted of them."""

import asyncio
from typing import Any

import httpx
import pytest

from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser
from tests.services.chat.servers import ModelServer, Neighbours

MESSAGE = "/api/v1/chat/message"
CONVERSATIONS = "/api/v1/chat/conversations"


async def begin(chat: httpx.AsyncClient, agent_id: str, content: str, **more: Any) -> str:
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": content, **more})
    assert answer.status_code == 200, answer.text
    conversation_id: str = answer.json()["conversation_id"]
    return conversation_id


async def found(chat: httpx.AsyncClient, **filters: Any) -> list[str]:
    answer = await chat.get(CONVERSATIONS, params=filters)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("content", "query", "misses"),
    [
        ("Which engines can FAISS serve?", "faiss ENGINES", "faiss motor"),
        ("Wie lange gilt die Gewährleistung?", "GEWÄHRLEISTUNG", "Garantie"),
        ("保修期有多长时间", "保修期", "保质期"),
        ("保证书在哪里", "书", "车"),
        ("返品の期限はいつまでですか", "返品の期限", "返金"),
        ("वारंटी कितने समय की है", "वारंटी", "रसीद"),
        ("كم مدة الضمان؟", "الضمان", "الفاتورة"),
    ],
)
async def test_a_conversation_is_found_by_what_was_said(
    chat: httpx.AsyncClient, agent_id: str, content: str, query: str, misses: str
) -> None:
    await begin(chat, agent_id, "Hello")
    wanted = await begin(chat, agent_id, content)

    assert await found(chat, q=query) == [wanted]
    assert await found(chat, q=misses) == []


async def test_a_conversation_is_found_by_what_was_answered_and_by_its_title(
    chat: httpx.AsyncClient, agent_id: str, model: ModelServer
) -> None:
    model.pieces = ["Twenty-seven ", "months."]
    wanted = await begin(chat, agent_id, "How long is the warranty?")
    await chat.patch(f"{CONVERSATIONS}/{wanted}", json={"title": "Falcon"})

    assert await found(chat, q="months warranty") == [wanted]
    assert await found(chat, q="falcon") == [wanted]
    await chat.patch(f"{CONVERSATIONS}/{wanted}", json={"title": "Eagle"})
    assert await found(chat, q="falcon") == []
    assert await found(chat, q="how") == [wanted]
    await chat.delete(f"{CONVERSATIONS}/{wanted}")
    assert await found(chat, q="months") == []


async def test_lists_are_narrowed_to_an_agent_and_to_metadata(
    chat: httpx.AsyncClient, agent_id: str, neighbours: Neighbours
) -> None:
    other_agent = new_id()
    neighbours.agents[other_agent] = neighbours.agents[agent_id] | {"id": other_agent}
    plain = await begin(chat, agent_id, "Hello")
    finance = await begin(chat, agent_id, "Hello", metadata={"team": "finance", "size": 3, "open": True})
    legal = await begin(chat, other_agent, "Hello", metadata={"team": "legal", "size": 3})

    assert await found(chat, agent_id=other_agent) == [legal]
    assert await found(chat, agent_id=agent_id) == [finance, plain]
    assert await found(chat, metadata="size=3") == [legal, finance]
    assert await found(chat, metadata=["size=3", "open=true"]) == [finance]
    assert await found(chat, metadata="team=fin") == []
    assert await found(chat, metadata="team=legal", q="hello", agent_id=agent_id) == []


async def test_pages_of_what_was_found_neither_lose_nor_repeat(chat: httpx.AsyncClient, agent_id: str) -> None:
    wanted = []
    for number in range(5):
        await begin(chat, agent_id, "Something else")
        wanted.append(await begin(chat, agent_id, f"Receipt {number}"))
    pages, cursor = list[list[str]](), None
    while not pages or cursor:
        params: dict[str, Any] = {"q": "receipt", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await chat.get(CONVERSATIONS, params=params)).json()
        pages.append([item["id"] for item in page["items"]])
        cursor = page["next_cursor"]
    first = (await chat.get(CONVERSATIONS, params={"q": "receipt", "limit": 2})).json()["next_cursor"]

    elsewhere = await chat.get(CONVERSATIONS, params={"q": "hello", "cursor": first})

    assert pages == [wanted[:2:-1], wanted[2:0:-1], wanted[:1]]
    assert (elsewhere.status_code, elsewhere.json()["errors"][0]["pointer"]) == (422, "query/cursor")


async def test_nobody_finds_what_others_said(
    chat: httpx.AsyncClient, agent_id: str, register_user: RegisterUser
) -> None:
    await begin(chat, agent_id, "The code is swordfish")

    answer = await chat.get(CONVERSATIONS, params={"q": "swordfish"}, headers=(await register_user()).headers)

    assert answer.json()["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        "q=",
        "q=%20",
        f"q={'x' * 201}",
        "q=a%00b",
        "q=a&q=b",
        "metadata=nothing",
        "metadata==x",
        "&".join(["metadata=a=b"] * 9),
        "metadata.team=x",
        "agent_id=x",
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(chat: httpx.AsyncClient, query: str) -> None:
    assert (await chat.get(f"{CONVERSATIONS}?{query}")).status_code == 422


async def test_metadata_are_replaced_and_change_the_tag(chat: httpx.AsyncClient, agent_id: str) -> None:
    conversation_id = await begin(chat, agent_id, "Hello", metadata={"team": "finance", "size": 1.5})
    path = f"{CONVERSATIONS}/{conversation_id}"
    before = await chat.get(path)

    changed = await chat.patch(path, json={"metadata": {"n": 7}}, headers={"If-Match": before.headers["etag"]})
    stale = await chat.patch(path, json={"metadata": {}}, headers={"If-Match": before.headers["etag"]})

    assert before.json()["metadata"] == {"team": "finance", "size": 1.5}
    assert (changed.json()["metadata"], changed.json()["title"]) == ({"n": 7}, "Hello")
    assert stale.status_code == 412
    assert await found(chat, metadata="team=finance") == []
    assert await found(chat, metadata="n=7") == [conversation_id]


async def test_of_two_who_change_at_once_with_one_tag_one_is_refused(chat: httpx.AsyncClient, agent_id: str) -> None:
    path = f"{CONVERSATIONS}/{await begin(chat, agent_id, 'Hello')}"
    tag = (await chat.get(path)).headers["etag"]

    answers = await asyncio.gather(
        *[chat.patch(path, json={"metadata": {"n": n}}, headers={"If-Match": tag}) for n in range(2)]
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412]


async def test_metadata_come_with_a_new_conversation_only(chat: httpx.AsyncClient, agent_id: str) -> None:
    conversation_id = await begin(chat, agent_id, "Hello")
    body = {"agent_id": agent_id, "content": "Again", "conversation_id": conversation_id, "metadata": {"a": 1}}

    answer = await chat.post(MESSAGE, json=body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "metadata_not_taken")


@pytest.mark.parametrize(
    "metadata", [{"a": None}, {"a": []}, {"a b": 1}, {"a": "x" * 513}, {"a": 2**60}, {str(n): n for n in range(33)}]
)
async def test_metadata_are_bounded(chat: httpx.AsyncClient, agent_id: str, metadata: dict[str, Any]) -> None:
    answer = await chat.post(MESSAGE, json={"agent_id": agent_id, "content": "Hello", "metadata": metadata})

    assert answer.status_code == 422
