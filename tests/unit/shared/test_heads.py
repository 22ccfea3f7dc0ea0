"""HEAD answers as GET does, and ends where the body would begin."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Scope

from shared.web.heads import head_of
from tests.fixtures.patience import PATIENCE_SECONDS

SCOPE: Scope = {"type": "http", "method": "HEAD", "asgi": {"spec_version": "2.3"}}


async def sent_by(app: ASGIApp) -> list[Message]:
    sent = list[Message]()

    async def receive() -> Message:
        return await asyncio.Future()  # the client waits

    async def send(message: Message) -> None:
        sent.append(message)

    await head_of(app)(SCOPE, receive, send)
    return sent


@pytest.mark.parametrize("response", [JSONResponse({"a": 1}), Response(status_code=204), JSONResponse({}, 404)])
async def test_status_and_headers_are_those_of_the_read(response: Response) -> None:
    begun, ended = await sent_by(response)

    assert (begun["status"], begun["headers"]) == (response.status_code, response.raw_headers)
    assert not ended["body"]
    assert not ended.get("more_body")


@pytest.mark.parametrize(("length", "pieces"), [({}, 0), ({"content-length": "9"}, 1)])
async def test_a_stream_is_not_read_for_its_headers(length: dict[str, str], pieces: int) -> None:
    made = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1
            yield b"piece"

    async with asyncio.timeout(PATIENCE_SECONDS):
        begun, ended = await sent_by(StreamingResponse(endless(), headers=length, media_type="text/event-stream"))

    assert (begun["status"], ended["body"], made) == (200, b"", pieces)


async def test_what_is_wrong_is_no_less_wrong_for_a_head() -> None:
    async def wrong(*_: object) -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - any that is raised
        await sent_by(wrong)
