"""A connection to the model that takes too long to be opened is opened once more."""

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp

from services.chat.adapters.openai_model import OpenAIModel, Timing
from services.chat.generation import Ask, Heard, PromptMessage
from tests.fixtures.crowded import crowded
from tests.fixtures.patience import PATIENCE_SECONDS

_SAID = (
    b'data: {"choices":[{"index":0,"delta":{"content":"text"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
_SECONDS = 1.5
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError):  # one that kept others waiting
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_HEAD + _SAID)
        await writer.drain()
    writer.close()


async def test_a_model_that_took_no_connection_in_time_is_asked_once_more() -> None:
    tries = list[None]()

    async def tried(*_: Any) -> None:
        """The second try finds room, however soon it comes."""
        tries.append(None)
        if len(tries) == 2:
            host.disperse()

    traced = aiohttp.TraceConfig()
    traced.on_connection_create_start.append(tried)
    timeout = aiohttp.ClientTimeout(total=None, connect=_SECONDS, sock_connect=_SECONDS)
    with crowded() as host:
        async with (
            aiohttp.ClientSession(timeout=timeout, trace_configs=[traced]) as session,
            asyncio.timeout(PATIENCE_SECONDS),
        ):
            model = OpenAIModel(session, f"{host.url}/v1", Timing(_SECONDS, PATIENCE_SECONDS, PATIENCE_SECONDS, None))
            asked = model.generate(Ask("m", [PromptMessage("user", "Hi")]), answer_tokens=5, heard=Heard())
            first = asyncio.ensure_future(anext(asked))
            while len(tries) < 2 and not first.done():  # noqa: ASYNC110 - the client has no event for it
                await asyncio.sleep(0.01)
            async with await asyncio.start_server(_answer, sock=host.listener):
                said = await first
                await asked.aclose()

    assert said == "text"
    assert len(tries) == 2
