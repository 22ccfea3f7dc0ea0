"""Images that a question shows: to models that see them, and to no others."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.chat.domain import Owner
from services.chat.storage import Keys
from shared.redis import open_redis
from tests.fixtures.identity import User
from tests.fixtures.images import data_url, gif, jpeg, png, webp
from tests.services.chat.client import OpenChat
from tests.services.chat.completing import COMPLETIONS, RUNS, asking, streamed
from tests.services.chat.scripts import calls, says
from tests.services.chat.servers import ModelServer, Neighbours, serving
from tests.services.chat.test_tools import WEATHER

EYES = {"scripted": {"sees": True}}
PNG = data_url(png(600, 600))
TEXT = {"type": "text", "text": "What is it?"}


def image(url: str = PNG, **members: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **members}}


def showing(*parts: dict[str, Any], model: str = "scripted", **members: Any) -> dict[str, Any]:
    return asking(model, {"role": "user", "content": list(parts)}, **members)


@pytest.fixture
async def seeing(open_chat: OpenChat, person: User) -> AsyncIterator[httpx.AsyncClient]:
    """One replica, whose model sees."""
    async with open_chat(llm_models=EYES) as client:
        client.headers.update(person.headers)
        yield client


async def error_of(client: httpx.AsyncClient, body: dict[str, Any]) -> tuple[int, str, str | None]:
    """The status, code and blame of a refusal in OpenAI's shape."""
    answer = await client.post(COMPLETIONS, json=body)
    error = answer.json()["error"]
    assert len(answer.content) < 1_000
    return answer.status_code, error["code"], error["param"]


@pytest.mark.parametrize(
    ("data", "media_type"),
    [(png(), "image/png"), (jpeg(), "image/jpeg"), (gif(), "image/gif"), (webp(), "image/webp")],
)
async def test_the_model_is_shown_what_the_caller_shows(
    seeing: httpx.AsyncClient, model: ModelServer, data: bytes, media_type: str
) -> None:
    url = data_url(data, media_type)

    answer = await seeing.post(COMPLETIONS, json=showing(TEXT, image(url, detail="high"), TEXT))

    assert answer.status_code == 200, answer.text
    assert model.asked[0]["messages"] == [
        {
            "role": "user",
            "content": [TEXT, {"type": "image_url", "image_url": {"url": url, "detail": "high"}}, TEXT],
        }
    ]


async def test_an_image_stands_alone_and_in_earlier_messages(seeing: httpx.AsyncClient, model: ModelServer) -> None:
    history: list[dict[str, Any]] = [
        {"role": "user", "content": [image(), image(detail="low")]},
        {"role": "assistant", "content": "A square."},
        {"role": "user", "content": "And what colour?"},
    ]

    await streamed(seeing, asking("scripted", *history))

    assert model.asked[0]["messages"] == history


async def test_an_agent_is_shown_it_among_what_it_knows(
    seeing: httpx.AsyncClient, model: ModelServer, agent_id: str, neighbours: Neighbours
) -> None:
    answer = await seeing.post(COMPLETIONS, json=showing(image(), TEXT, model=agent_id))

    assert answer.status_code == 200, answer.text
    assert [one["query"] for one in neighbours.searches] == ["What is it?"]
    system, user = model.asked[0]["messages"]
    assert (system["role"], user["content"]) == ("system", [image(), TEXT])


async def test_what_the_provider_does_not_count_is_estimated_with_its_images(
    open_chat: OpenChat, person: User, model: ModelServer
) -> None:
    model.usage = None
    known = {"scripted": {"sees": True, "image_tokens": 5_000, "window_tokens": 100_000}}
    async with open_chat(llm_models=known) as client:
        client.headers.update(person.headers)
        told = (await client.post(COMPLETIONS, json=showing(TEXT, image()))).json()

    assert 5_000 < told["usage"]["prompt_tokens"] < 5_100


async def test_a_model_without_eyes_is_shown_none(chat: httpx.AsyncClient, model: ModelServer) -> None:
    told = await error_of(chat, showing(TEXT, image()))

    assert told == (400, "chat.model_without_eyes", "messages[0].content[1]")
    assert model.asked == []


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([image("")], (400, "chat.image_unreadable", "messages[0].content[0].image_url.url")),
        (
            [TEXT, image("data:image/png;base64,iVBO!")],
            (400, "chat.image_unreadable", "messages[0].content[1].image_url.url"),
        ),
        ([image(data_url(b"%PDF-1.7"))], (400, "chat.image_unreadable", "messages[0].content[0].image_url.url")),
        (
            [image(data_url(b"<svg/>", "image/svg+xml"))],
            (400, "chat.image_unreadable", "messages[0].content[0].image_url.url"),
        ),
        (
            [image(data_url(png(100_000, 100_000)))],
            (413, "chat.image_too_large", "messages[0].content[0].image_url.url"),
        ),
        ([image(data_url(bytes(2**21 + 9)))], (413, "chat.image_too_large", "messages[0].content[0].image_url.url")),
        ([image("https://example.com/a.png")], (400, "chat.image_elsewhere", "messages[0].content[0].image_url.url")),
        ([image()] * 17, (400, "chat.too_many_images", "messages[0].content[0]")),
        ([image(detail="original")], (400, "common.invalid", "messages[0].content[0].image_url.detail")),
        ([image(size=1)], (400, "common.invalid", "messages[0].content[0].image_url.size")),
        ([image()] * 3, (400, "chat.prompt_too_long", "messages")),
        ([image(data_url(png(padding=4 * 2**20)))], (413, "common.too_large", None)),
    ],
    ids=[
        *("empty", "broken", "document", "drawing", "promises", "large", "address", "many"),
        *("detail", "member", "window", "body"),
    ],
)  # fmt: skip
async def test_what_is_not_to_be_shown_is_refused_where_it_stands(
    open_chat: OpenChat, person: User, model: ModelServer, parts: list[Any], told: tuple[int, str, str]
) -> None:
    known = {"scripted": {"sees": True, "window_tokens": 2_048}}
    async with open_chat(llm_models=known) as client:
        client.headers.update(person.headers)
        assert await error_of(client, showing(*parts)) == told

    assert model.asked == []


async def test_nothing_else_than_the_model_is_told_what_it_shows(
    seeing: httpx.AsyncClient, suite: Suite, person: User, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither events, nor the run, nor what is kept of it, nor logs."""
    mark = PNG[-60:]
    with caplog.at_level(logging.DEBUG):
        run_id = (await seeing.post(COMPLETIONS, json=showing(TEXT, image()))).json()["run_id"]
        refused = await seeing.post(COMPLETIONS, json=showing(image(PNG + "=")))
        told = [(await seeing.get(f"{RUNS}/{run_id}{end}")).text for end in ("", "/events")]

    async with open_redis(suite.url("redis")) as redis:
        keys = Keys(Owner(person.tenant_id, person.user_id))
        kept = [await redis.hgetall(keys.run(run_id)), await redis.xrange(keys.events(run_id))]
    assert mark not in "".join(
        [refused.text, *told, str(kept), caplog.text, *[str(vars(one)) for one in caplog.records]]
    )


async def test_a_run_that_waits_shows_it_again_when_it_goes_on(
    seeing: httpx.AsyncClient, model: ModelServer, agent_id: str, neighbours: Neighbours
) -> None:
    neighbours.agents[agent_id]["tools"] = ["weather.now"]
    neighbours.tools = [WEATHER | {"needs_approval": True}]
    model.scripted = [calls(("weather_now", {"city": "Jena"})), says("A square.")]
    waits = (await seeing.post(COMPLETIONS, json=showing(TEXT, image(), model=agent_id))).json()["error"]
    place = waits["message"].split("POST /api/v1")[1].split(",")[0]

    await seeing.post(f"/api/v1{place}", json={"approve": True})
    run = place.split("/")[3]
    events = (await seeing.get(f"{RUNS}/{run}/events")).text

    assert "run.completed" in events
    assert model.asked[1]["messages"][1]["content"] == [TEXT, image()]


async def test_no_fallback_is_one_that_does_not_see(open_chat: OpenChat, person: User, model: ModelServer) -> None:
    other = ModelServer()
    async with serving(other) as address:
        provider = {"name": "other", "url": f"{address}/v1", "models": ["blind", "sharp"]}
        known = {"scripted": {"sees": True}, "sharp": {"sees": True}}
        async with open_chat(
            llm_models=known, llm_providers=[provider], llm_fallbacks=["other/blind", "other/sharp"]
        ) as client:
            client.headers.update(person.headers)
            model.refuses = [(503, {}, {"retry-after": "30"})] * 2
            shown = (await client.post(COMPLETIONS, json=showing(TEXT, image()))).json()
            plain = (await client.post(COMPLETIONS, json=asking())).json()

    assert (shown["model"], plain["model"]) == ("other/sharp", "other/blind")
    assert [one["model"] for one in other.asked] == ["sharp", "blind"]
