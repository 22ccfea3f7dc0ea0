"""A model server that says the same 128 pieces at once, one write each: `python -m bench.apps.upstream PORT`.

It reads no more of a request than where it ends, since what is measured is what stands between it and its caller.
"""

import asyncio
import json
import re
import sys
from typing import Final

import uvloop

PIECES: Final = 128
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_MODELS = json.dumps({"object": "list", "data": [{"id": "mock", "object": "model"}]}).encode()


def _chunk(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    said = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "mock", "choices": [choice]}
    return _framed(b"data: %b\n\n" % json.dumps(said).encode())


def _framed(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_USAGE = {"prompt_tokens": 12, "completion_tokens": PIECES, "total_tokens": 12 + PIECES}
_COUNTED = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "mock", "choices": []}
_FRAMES = [
    *(_chunk({"content": f" word{number:03}"}) for number in range(PIECES)),
    _chunk({}, "stop"),
    _framed(b"data: %b\n\n" % json.dumps({**_COUNTED, "usage": _USAGE}).encode()),
    _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n",
]
_OTHER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_MODELS), _MODELS)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            await _answer(writer, is_stream=head.startswith(b"POST"))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _answer(writer: asyncio.StreamWriter, *, is_stream: bool) -> None:
    if not is_stream:
        writer.write(_OTHER)
        return
    writer.write(_HEAD)
    for frame in _FRAMES:
        writer.write(frame)
        await asyncio.sleep(0)  # each a write of its own, and others have their turn
    await writer.drain()


async def _main(port: int) -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
