"""Images that a conversation keeps, and a response goes on from."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.keeping import kept_bytes
from services.chat.runs.logs import log_bytes
from services.chat.storage import Keys
from shared.redis import open_redis
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.images import data_url, jpeg, png
from tests.services.chat.client import OpenChat, events_of
from tests.services.chat.responding import ANSWER, RESPONSES, asking, created
from tests.services.chat.servers import ModelServer, Neighbours

CONVERSATIONS, CHAT = "/api/v1/conversations", "/api/v1/chat/conversations"
INCLUDE = {"include[]": "message.input_image.image_url"}
EYES = {"scripted": {"sees": True, "image_tokens": 300}}
PNG = data_url(png(60, 40))
TEXT = {"type": "input_text", "text": "What is it?"}
TOLD = {"type": "text", "text": "What is it?"}


def image(url: str | None = PNG, **members: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": url, **members}


def told(url: str = PNG, **members: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **members}}


def showing(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def read(url: str | None = None, detail: str = "auto", data: bytes = png(60, 40)) -> dict[str, Any]:
    """What an item of `PNG` is read as."""
    beside = {"media_type": "image/png", "width": 60, "height": 40, "size": len(data)}
    return {"type": "input_image", "image_url": url, "file_id": None, "detail": detail, **beside}


@pytest.fixture
async def seeing(open_chat: OpenChat, person: User) -> AsyncIterator[httpx.AsyncClient]:
    """One replica, whose model sees."""
    async with open_chat(llm_models=EYES) as client:
        client.headers.update(person.headers)
        yield client


async def begun(client: httpx.AsyncClient, *items: dict[str, Any]) -> str:
    answer = await client.post(CONVERSATIONS, json={"items": list(items)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def contents(client: httpx.AsyncClient, path: str, **query: str) -> list[list[dict[str, Any]]]:
    """What each item shows, oldest first."""
    answer = await client.get(path, params={"order": "asc", "limit": "100", **query})
    assert answer.status_code == 200, answer.text
    return [one["content"] for one in answer.json()["data"]]


async def error_of(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


async def test_a_response_is_shown_it_and_the_next_one_again(seeing: httpx.AsyncClient, model: ModelServer) -> None:
    first = await created(seeing, input=[showing(TEXT, image(detail="high"), TEXT)])
    second = await created(seeing, input="And now?", previous_response_id=first["id"])

    shown = {"role": "user", "content": [TOLD, told(detail="high"), TOLD]}
    assert model.asked[0]["messages"] == [shown]
    assert model.asked[1]["messages"][0] == shown
    assert [one["content"] for one in model.asked[1]["messages"][1:]] == [ANSWER, "And now?"]
    path = f"{RESPONSES}/{second['id']}/input_items"
    assert (await contents(seeing, path))[0] == [TEXT, read(detail="high"), TEXT]
    assert (await contents(seeing, path, **INCLUDE))[0] == [TEXT, read(PNG, "high"), TEXT]


async def test_a_conversation_keeps_it_and_shows_it_at_both_doors(
    seeing: httpx.AsyncClient, model: ModelServer, suite: Suite, person: User
) -> None:
    name = await begun(seeing, showing(image(), TEXT))
    id_ = name.removeprefix("conv_")
    await created(seeing, conversation=name, input=[showing(image(), image(detail="low"))])
    await created(seeing, conversation=name, input="And now?")

    assert [one["content"] for one in model.asked[1]["messages"]] == [
        [told(), TOLD],
        [told(), told(detail="low")],
        ANSWER,
        "And now?",
    ]
    listed = await contents(seeing, f"{CONVERSATIONS}/{name}/items")
    assert listed[:2] == [[read(), TEXT], [read(), read(detail="low")]]
    assert (await contents(seeing, f"{CONVERSATIONS}/{name}/items", **INCLUDE))[1] == [read(PNG), read(PNG, "low")]
    items = (await seeing.get(f"{CONVERSATIONS}/{name}/items", params={"order": "asc"})).json()["data"]
    one = await seeing.get(f"{CONVERSATIONS}/{name}/items/{items[0]['id']}", params=INCLUDE)
    assert one.json()["content"] == [read(PNG), TEXT]
    messages = await seeing.get(f"{CHAT}/{id_}/messages")
    assert PNG[40:] not in messages.text
    beside = {"media_type": "image/png", "width": 60, "height": 40, "size": len(png(60, 40))}
    assert [message.get("images") for message in messages.json()["items"][:3]] == [
        [{**beside, "detail": None, "at": 0}],
        [{**beside, "detail": None, "at": 0}, {**beside, "detail": "low", "at": 0}],
        None,
    ]
    assert [message["content"] for message in messages.json()["items"][:2]] == ["What is it?", ""]
    assert (await seeing.get(f"{CHAT}/{id_}")).json()["title"] == "What is it?"


async def test_what_was_read_is_given_again(seeing: httpx.AsyncClient, model: ModelServer) -> None:
    name = await begun(seeing, showing(image(detail="low"), TEXT))
    [item] = (await seeing.get(f"{CONVERSATIONS}/{name}/items", params=INCLUDE)).json()["data"]

    await created(seeing, input=[item])

    assert model.asked[0]["messages"][0]["content"] == [told(detail="low"), TOLD]


async def test_an_agent_is_shown_what_another_door_has_kept(
    seeing: httpx.AsyncClient, model: ModelServer, agent_id: str
) -> None:
    """A turn of its own, and one made anew, whose events say what it is and show nothing."""
    name = await begun(seeing)
    id_ = name.removeprefix("conv_")
    await seeing.post("/api/v1/chat/message", json={"agent_id": agent_id, "content": "Hello", "conversation_id": id_})
    await created(seeing, model=agent_id, conversation=name, input=[showing(TEXT, image())])
    async with seeing.stream("POST", f"{CHAT}/{id_}/regenerate", json={"stream": True}) as response:
        events = [event async for event in events_of(response)]
    said = {"agent_id": agent_id, "content": "And now?", "conversation_id": id_}
    assert (await seeing.post("/api/v1/chat/message", json=said)).status_code == 200

    shown = [TOLD, told()]
    assert model.asked[2]["messages"][-1]["content"] == shown
    assert [one["content"] for one in model.asked[3]["messages"]][-3:] == [shown, ANSWER, "And now?"]
    assert [one["width"] for one in events[0].data["message"]["images"]] == [60]
    assert PNG[40:] not in str(events)
    assert (await contents(seeing, f"{CONVERSATIONS}/{name}/items", **INCLUDE))[2] == [TEXT, read(PNG)]


async def test_a_model_without_eyes_is_told_that_there_was_one(
    chat: httpx.AsyncClient, model: ModelServer, agent_id: str
) -> None:
    """In what an agent is told of a conversation; whoever asks for all of it is refused, as is one to be answered."""
    name = await begun(chat, showing(TEXT, image()), {"role": "assistant", "content": "A square."})
    id_ = name.removeprefix("conv_")
    said = {"agent_id": agent_id, "content": "And now?", "conversation_id": id_}
    assert (await chat.post("/api/v1/chat/message", json=said)).status_code == 200
    refused = [
        await chat.post(RESPONSES, json=asking(conversation=name)),
        await chat.post(RESPONSES, json=asking(input=[showing(TEXT), showing(TEXT, image())])),
    ]
    await chat.post(f"{CONVERSATIONS}/{name}/items", json={"items": [showing(image())]})
    regenerated = await chat.post(f"{CHAT}/{id_}/regenerate", json={})

    assert [one["content"] for one in model.asked[0]["messages"]][-3:] == [
        "What is it?\n[image]",
        "A square.",
        "And now?",
    ]
    assert [await error_of(one) for one in refused] == [
        (400, "chat.model_without_eyes", "conversation"),
        (400, "chat.model_without_eyes", "input[1].content[1]"),
    ]
    assert (regenerated.status_code, regenerated.json()["code"]) == (422, "chat.model_without_eyes")
    assert len(model.asked) == 1


async def test_a_response_before_that_was_shown_one_is_named(
    open_chat: OpenChat, person: User, model: ModelServer
) -> None:
    async with open_chat(llm_models=EYES) as seeing:
        seeing.headers.update(person.headers)
        first = await created(seeing, input=[showing(image())])
    async with open_chat() as chat:
        chat.headers.update(person.headers)
        refused = await chat.post(RESPONSES, json=asking(previous_response_id=first["id"]))

    assert await error_of(refused) == (400, "chat.model_without_eyes", "previous_response_id")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (showing(image("")), (400, "chat.image_unreadable", "[0].content[0].image_url")),
        (showing(TEXT, image(None)), (400, "chat.image_unreadable", "[0].content[1].image_url")),
        (showing(TEXT, image("data:image/png;base64,iV!")), (400, "chat.image_unreadable", "[0].content[1].image_url")),
        (showing(image(data_url(b"<svg/>"))), (400, "chat.image_unreadable", "[0].content[0].image_url")),
        (showing(image(data_url(png(100_000, 100_000)))), (413, "chat.image_too_large", "[0].content[0].image_url")),
        (showing(image(data_url(bytes(2**21 + 9)))), (413, "chat.image_too_large", "[0].content[0].image_url")),
        (showing(image("https://example.com/a.png")), (400, "chat.image_elsewhere", "[0].content[0].image_url")),
        (showing(image(None, file_id="file-1")), (400, "chat.image_elsewhere", "[0].content[0].file_id")),
        (showing(*[image()] * 17), (400, "chat.too_many_images", "[0].content[0]")),
        (showing(image(detail="original")), (400, "common.invalid", "[0].content[0].detail")),
        (showing(image()) | {"role": "developer"}, (400, "common.invalid", "[0]")),
        (
            {"type": "function_call_output", "call_id": "c", "output": [image()]},
            (400, "common.invalid", "[0].output"),
        ),
        (showing(image(data_url(png(padding=4 * 2**20)))), (413, "common.too_large", None)),
    ],
    ids=[
        *("empty", "missing", "broken", "drawing", "promises", "large", "address", "file", "many", "detail", "role"),
        *("output", "body"),
    ],
)  # fmt: skip
async def test_what_is_not_to_be_shown_is_refused_where_it_stands(
    seeing: httpx.AsyncClient, model: ModelServer, item: dict[str, Any], expected: tuple[int, str, str | None]
) -> None:
    asked = await seeing.post(RESPONSES, json=asking(input=[item]))
    put = await seeing.post(CONVERSATIONS, json={"items": [item]})

    status, code, param = expected
    assert await error_of(asked) == (status, code, param and f"input{param}")
    assert await error_of(put) == (status, code, param and f"items{param}")
    assert model.asked == []
    assert (await seeing.get(CHAT)).json()["items"] == []


async def test_what_is_deleted_leaves_nothing_behind(
    seeing: httpx.AsyncClient, suite: Suite, person: User, model: ModelServer
) -> None:
    """Conversations, forks of them, items, and responses: neither a byte nor its count."""
    owner = Owner(person.tenant_id, person.user_id)
    large = image(data_url(png(padding=100_000)))
    name = await begun(seeing, showing(large), showing(large))
    id_ = name.removeprefix("conv_")
    async with open_redis(suite.url("redis")) as redis:
        one = await kept_bytes(redis, owner, of_tenant=False)
        answered = await created(seeing, conversation=name, input=[showing(large)])
        alone = await created(seeing, input=[showing(large)])
        last = (await seeing.get(f"{CHAT}/{id_}/messages", params={"limit": 1})).json()["items"][0]["id"]
        fork = (await seeing.post(f"{CHAT}/{id_}/fork", json={"message_id": last})).json()["id"]
        most = await kept_bytes(redis, owner, of_tenant=False)
        items = (await seeing.get(f"{CONVERSATIONS}/{name}/items")).json()["data"]
        await seeing.delete(f"{CONVERSATIONS}/{name}/items/{items[-1]['id']}")
        for gone in (f"{CHAT}/{id_}", f"{CHAT}/{fork}", f"{RESPONSES}/{alone['id']}"):
            assert (await seeing.delete(gone)).is_success, gone
        left = [key async for key in redis.scan_iter(f"{Keys(owner).conversations.removesuffix('s')}*")]
        kept = [await kept_bytes(redis, owner, of_tenant=False), await log_bytes(redis, owner)]

    assert 2 * 133_000 < one < most
    assert most > 4 * 133_000
    assert (await seeing.get(f"{RESPONSES}/{answered['id']}")).status_code == 404
    assert (left, kept) == ([], [0, (0, 0)])


async def test_a_conversation_of_many_is_read_some_at_a_time(
    open_chat: OpenChat, person: User, model: ModelServer, agent_id: str
) -> None:
    """Pages end early; a prompt shows the newest that it may, and a response, which is told all, is refused."""
    large = showing(image(data_url(png(padding=2**21 - 200))), TEXT)
    answer = {"role": "assistant", "content": "A square."}
    async with open_chat(
        llm_models={"scripted": {"sees": True, "window_tokens": 100_000, "image_tokens": 85}}
    ) as seeing:
        seeing.headers.update(person.headers)
        name = await begun(seeing, large, answer)
        for _ in range(5):
            added = await seeing.post(f"{CONVERSATIONS}/{name}/items", json={"items": [large, answer]})
            assert added.status_code == 200
        page = await seeing.get(f"{CONVERSATIONS}/{name}/items", params={"limit": 100, **INCLUDE})
        shown = await seeing.post(RESPONSES, json=asking(conversation=name, store=False))
        stored = await seeing.post(RESPONSES, json=asking(conversation=name))
        said = {"agent_id": agent_id, "content": "And now?", "conversation_id": name.removeprefix("conv_")}
        turn = await seeing.post("/api/v1/chat/message", json=said)

    assert (page.json()["has_more"], len(page.json()["data"])) == (True, 4)
    assert len(page.content) < 7 * 2**20
    assert await error_of(shown) == (413, "chat.image_too_large", "conversation")
    assert await error_of(stored) == (400, "chat.conversation_unkeepable", "conversation")
    assert turn.status_code == 200
    [asked] = model.asked
    parts = [part for one in asked["messages"] if isinstance(one["content"], list) for part in one["content"]]
    assert [part["type"] for part in parts] == ["image_url", "text"] * 3


async def test_more_than_is_kept_with_a_response_is_refused_by_name(
    seeing: httpx.AsyncClient, model: ModelServer
) -> None:
    """A response of two large ones goes on from one; with `store` false nothing is kept, and it is shown both."""
    large = image(data_url(png(padding=3 * 2**19)))
    first = await created(seeing, input=[showing(large)])
    going_on = asking(input=[showing(large)], previous_response_id=first["id"])

    refused = await seeing.post(RESPONSES, json=going_on)
    shown = await seeing.post(RESPONSES, json=going_on | {"store": False})

    assert await error_of(refused) == (400, "chat.response_unkeepable", "input")
    assert shown.status_code == 200
    assert len(model.asked) == 2


async def test_nobody_else_sees_it(seeing: httpx.AsyncClient, register_user: RegisterUser, model: ModelServer) -> None:
    name = await begun(seeing, showing(image()))
    first = await created(seeing, input=[showing(image())])
    other = await register_user()

    answers = [
        await seeing.get(f"{CONVERSATIONS}/{name}/items", params=INCLUDE, headers=other.headers),
        await seeing.get(f"{RESPONSES}/{first['id']}/input_items", params=INCLUDE, headers=other.headers),
        await seeing.post(RESPONSES, json=asking(previous_response_id=first["id"]), headers=other.headers),
        await seeing.post(RESPONSES, json=asking(conversation=name), headers=other.headers),
    ]

    assert [one.status_code for one in answers] == [404] * 4
    assert len(model.asked) == 1


async def test_any_replica_shows_it(open_chat: OpenChat, person: User, model: ModelServer) -> None:
    async with open_chat(llm_models=EYES) as one, open_chat(llm_models=EYES) as another:
        for client in (one, another):
            client.headers.update(person.headers)
        first = await created(one, input=[showing(image(data_url(jpeg(9, 9), "image/png")))])
        await created(another, previous_response_id=first["id"])

    assert model.asked[1]["messages"][0]["content"] == [told(data_url(jpeg(9, 9), "image/jpeg"))]


async def test_what_is_told_in_short_says_that_there_was_one(seeing: httpx.AsyncClient, model: ModelServer) -> None:
    model.pieces = ["A square was shown."]

    answer = await seeing.post(f"{RESPONSES}/compact", json=asking(input=[showing(TEXT, image())]))

    assert answer.status_code == 200, answer.text
    assert "> What is it?\n> [image]" in model.asked[0]["messages"][-1]["content"]
    assert PNG[40:] not in str(model.asked)


async def test_a_summary_of_what_no_longer_fits_says_so_too(
    open_chat: OpenChat, person: User, model: ModelServer, agent_id: str, neighbours: Neighbours
) -> None:
    neighbours.agents[agent_id] |= {"history": "summarise", "knowledge": []}
    answer = {"role": "assistant", "content": "A square."}
    known = {"scripted": {"sees": True, "image_tokens": 600}}
    async with open_chat(llm_models=known, prompt_tokens=3_000, history_tokens=900) as seeing:
        seeing.headers.update(person.headers)
        name = await begun(seeing, showing(TEXT, image()), answer, showing(TEXT), answer)
        said = {"agent_id": agent_id, "content": "And now?", "conversation_id": name.removeprefix("conv_")}
        turn = await seeing.post("/api/v1/chat/message", json=said)

    assert turn.status_code == 200, turn.text
    summarised, asked = model.asked
    assert "> What is it?\n> [image]" in summarised["messages"][-1]["content"]
    assert all(isinstance(one["content"], str) for one in asked["messages"])
