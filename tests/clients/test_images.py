"""OpenAI's own client shows images through the gateway: to a model that sees, through each door."""

from typing import Any

import httpx
import openai
import pytest

from tests.clients import obliging
from tests.fixtures.images import data_url, jpeg, png

pytestmark = pytest.mark.usefixtures("obliged")
MODEL = obliging.NAME
PNG = data_url(png(60, 40))
SEEN = "The image is image/png."
WHOLE: Any = ["message.input_image.image_url"]


def part(url: str = PNG) -> Any:
    return {"type": "image_url", "image_url": {"url": url, "detail": "low"}}


def shown(url: str = PNG) -> Any:
    return {"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, _input(url)]}


def _input(url: str) -> Any:
    return {"type": "input_image", "image_url": url, "detail": "auto"}


async def test_a_completion_is_shown_what_an_image_is_by_its_content(client: openai.AsyncOpenAI) -> None:
    answers = [
        await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": [part(url)]}])
        for url in (PNG, data_url(jpeg(60, 40)))
    ]

    assert [one.choices[0].message.content for one in answers] == [SEEN, "The image is image/jpeg."]


async def test_a_response_is_shown_it_and_lists_it(client: openai.AsyncOpenAI) -> None:
    first = await client.responses.create(model=MODEL, input=[shown()])
    second = await client.responses.create(model=MODEL, input=[shown()], previous_response_id=first.id)

    assert (first.output_text, second.output_text) == (SEEN, f"{SEEN} {SEEN}")
    listed = [one async for one in client.responses.input_items.list(second.id, include=WHOLE)]
    images = [one.content[1] for one in listed if one.type == "message" and one.role == "user"]
    assert [(one.type, getattr(one, "image_url", None)) for one in images] == [("input_image", PNG)] * 2


async def test_a_conversation_keeps_it(client: openai.AsyncOpenAI) -> None:
    conversation = await client.conversations.create(items=[shown()])

    answer = await client.responses.create(model=MODEL, input="And now?", conversation=conversation.id)

    assert answer.output_text == SEEN
    items = [one async for one in client.conversations.items.list(conversation.id, order="asc")]
    told: Any = items[0]
    assert (told.content[1].type, told.content[1].image_url, told.content[1].size) == (
        "input_image",
        None,
        len(png(60, 40)),
    )
    one: Any = await client.conversations.items.retrieve(told.id, conversation_id=conversation.id, include=WHOLE)
    assert one.content[1].image_url == PNG


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("data:image/png;base64,", 400, "chat.image_unreadable"),
        ("https://example.com/cat.png", 400, "chat.image_elsewhere"),
        (data_url(png(100_000, 100_000)), 413, "chat.image_too_large"),
        (data_url(png(padding=9 * 2**19)), 413, "common.too_large"),
    ],
    ids=["empty", "address", "promises", "6 MiB"],
)
async def test_what_is_no_image_is_refused(client: openai.AsyncOpenAI, url: str, status: int, code: str) -> None:
    for asked in (
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": [part(url)]}]),
        client.responses.create(model=MODEL, input=[shown(url)]),
    ):
        with pytest.raises(openai.APIStatusError) as refused:
            await asked

        assert (refused.value.status_code, refused.value.code) == (status, code)


async def test_a_stranger_is_refused_whatever_they_bring(gateway: httpx.AsyncClient) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": [part(data_url(png(padding=9 * 2**19)))]}]}

    answer = await gateway.post("/api/v1/chat/completions", json=body, headers={"authorization": "Bearer invented"})

    assert answer.status_code == 401
