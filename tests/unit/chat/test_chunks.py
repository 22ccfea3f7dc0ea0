"""The stream of a chat completion, however it is cut and whatever it holds."""

import json

import pytest

from services.chat.adapters.chunks import ChunkReader
from services.chat.errors import ModelRefused, ModelUnavailable
from services.chat.generation import Usage


def chunk(content: str | None = None, finish_reason: str | None = None, **members: object) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return b"data: %b\n\n" % json.dumps({"choices": [choice], **members}).encode()


STREAM = (
    b": ping\n\n"
    + chunk(None)
    + chunk("Größe ")
    + chunk("27")
    + chunk(finish_reason="length")
    + b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\r\n\r\n'
    + b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
def test_it_may_arrive_in_pieces_of_any_size(size: int) -> None:
    reader = ChunkReader()
    parts = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]

    text = "".join(str(piece) for part in parts for piece in reader.feed(part))

    assert text == "Größe 27"
    assert reader.done
    assert (reader.completion().finish_reason, reader.completion().usage) == ("length", Usage(3, 2, 5))


def test_a_stream_without_an_end_broke_off() -> None:
    reader = ChunkReader()
    assert list(reader.feed(chunk("half"))) == ["half"]

    with pytest.raises(ModelUnavailable):
        reader.completion()


def test_an_error_in_the_middle_is_an_error() -> None:
    with pytest.raises(ModelUnavailable):
        list(ChunkReader().feed(b'data: {"error":{"code":500,"message":"out of memory"}}\n\n'))


@pytest.mark.parametrize(
    "line",
    [
        b"data: <html>\n\n",
        b"data: []\n\n",
        b'data: {"choices":[7]}\n\n',
        b'data: {"choices":[{"delta":{"content":5}}]}\n\n',
        b'data: {"usage":{"prompt_tokens":1}}\n\n',
        b"x" * 2_000_000,
    ],
)
def test_what_is_not_the_protocol_is_refused(line: bytes) -> None:
    with pytest.raises(ModelRefused):
        list(ChunkReader().feed(line))
