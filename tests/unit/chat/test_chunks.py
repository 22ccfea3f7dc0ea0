"""The answer of a provider, however it is cut and whatever it holds."""

import json
from typing import Any

import pytest

from services.chat.adapters.chunks import ChunkReader
from services.chat.errors import AnswerEmpty, ModelRefused, ModelUnavailable
from services.chat.generation import Completion, Reasoning, Usage

DONE = b"data: [DONE]\n\n"


def chunk(content: Any = None, finish_reason: str | None = None, delta: Any = None, **members: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {"content": content}, "finish_reason": finish_reason}
    return b"data: %b\n\n" % json.dumps({"choices": [choice], **members}, ensure_ascii=False).encode()


def raw(choice: str) -> bytes:
    return b'data: {"choices":[%b]}\n\n' % choice.encode()


def read(*parts: bytes) -> tuple[str, str, Completion]:
    """The text, the thought, and how it ended."""
    reader = ChunkReader()
    pieces = [piece for part in parts for piece in reader.feed(part)]
    pieces += reader.close()
    text = "".join(piece for piece in pieces if isinstance(piece, str))
    return text, "".join(piece.text for piece in pieces if isinstance(piece, Reasoning)), reader.completion()


STREAM = (
    b": ping\n\n"
    + chunk(None)
    + chunk("Größe ")
    + chunk("27")
    + chunk(finish_reason="length")
    + b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\r\n\r\n'
    + DONE
)


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
@pytest.mark.parametrize("stream", [STREAM, b"\xef\xbb\xbf" + STREAM, STREAM.replace(b"\n", b"\r")])
def test_it_may_arrive_in_pieces_of_any_size(stream: bytes, size: int) -> None:
    parts = [stream[start : start + size] for start in range(0, len(stream), size)]

    assert read(*parts) == ("Größe 27", "", Completion("length", Usage(3, 2, 5)))


ANSWERS = {
    "error null": chunk("Hi", "stop", error=None) + DONE,
    "no space": chunk("Hi", "stop").replace(b"data: ", b"data:") + DONE.replace(b" ", b""),
    "no [DONE]": chunk("Hi") + chunk(finish_reason="stop"),
    "no line end": chunk("Hi", "stop").strip(),
    "only [DONE]": chunk("Hi") + DONE,
    "delta null": raw('{"delta":null}') + chunk("Hi", "stop"),
    "choices empty": b'data: {"choices":[]}\n\ndata: {"choices":null}\n\n' + chunk("Hi", "stop"),
    "named events": b"event: message\nid: 7\nretry: 10\n" + chunk("Hi", "stop"),
    "parts": chunk([{"type": "text", "text": "H"}, {"type": "image", "url": "x"}, "i"], "stop"),
    "a message for a delta": raw('{"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}') + DONE,
    "one JSON": b'\n{\n "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]\n}\n',
    "one JSON after a mark": b'\xef\xbb\xbf{"choices":[{"message":{"content":"Hi"},"finish_reason":null}]}',
    "a pair in two chunks": raw('{"delta":{"content":"\\ud83d"}}') + raw('{"delta":{"content":"\\ude00Hi"}}') + DONE,
    "bytes in two chunks": b'data: {"choices":[{"delta":{"content":"\xf0\x9f"}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"\x98\x80Hi"}}]}\n\n' + DONE,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_no_quirk_loses_an_answer(name: str) -> None:
    text, _, completion = read(ANSWERS[name])

    assert text in ("Hi", "😀Hi")
    assert ("chunks" in name) == (text == "😀Hi")
    assert completion == Completion("stop", None)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ({"prompt_tokens": 3}, None),
        ({"prompt_tokens": 3, "completion_tokens": None, "total_tokens": 5}, Usage(3, 2, 5)),
        ({"completion_tokens": 2, "total_tokens": 5}, Usage(3, 2, 5)),
        ({"prompt_tokens": 3, "completion_tokens": 2}, Usage(3, 2, 5)),
        ({"prompt_tokens": "3", "completion_tokens": -2}, None),
        ({"prompt_tokens": 10**30, "completion_tokens": 2}, None),
    ],
)
def test_counts_are_taken_where_they_are_counts(usage: Any, counted: Usage | None) -> None:
    assert read(chunk("Hi", "stop", usage=usage), DONE)[2].usage == counted


def call(function: Any, **members: Any) -> dict[str, Any]:
    return {"tool_calls": [{"type": "function", "function": function, **members}]}


PIECES = {
    "by index": [
        call({"name": "a", "arguments": ""}, index=0, id="1"),
        call({"arguments": '{"x"'}, index=0),
        call({"name": "b", "arguments": "{}"}, index=1, id="2"),
        call({"arguments": ":1}"}, index=0),
    ],
    "without an index": [
        call({"name": "a", "arguments": '{"x"'}, id="1"),
        call({"arguments": ":1}"}),
        call({"name": "b", "arguments": "{}"}, id="2"),
    ],
    "all numbered 0": [
        call({"name": "a", "arguments": '{"x":1}'}, index=0, id="1"),
        call({"name": "b", "arguments": "{}"}, index=0, id="2"),
    ],
    "the object itself": [
        call({"name": "a", "arguments": {"x": 1}}, index=0, id="1"),
        call({"name": "b", "arguments": {}}, index=1, id="2"),
    ],
    "an id in every piece": [
        call({"name": "a", "arguments": '{"x"'}, id="1"),
        call({"name": "b", "arguments": "{}"}, id="2"),
        call({"name": "a", "arguments": ":1}"}, id="1"),
    ],
}


@pytest.mark.parametrize("name", PIECES)
def test_tool_calls_are_put_together(name: str) -> None:
    _, _, completion = read(*(chunk(delta=delta) for delta in PIECES[name]), DONE)

    found = [(one.id, one.name, one.arguments) for one in completion.tool_calls]
    assert found == [("1", "a", '{"x":1}'), ("2", "b", "{}")]
    assert completion.finish_reason == "tool_calls"


def test_tool_calls_without_ids_get_their_own() -> None:
    both = {"tool_calls": [{"function": {"name": "a", "arguments": "{}"}}] * 2}

    calls = read(chunk(delta=both), DONE)[2].tool_calls

    assert [one.name for one in calls] == ["a", "a"]
    assert len({one.id for one in calls}) == 2


@pytest.mark.parametrize(
    "parts",
    [
        [chunk(delta={"reasoning_content": "Hm"}), chunk("Hi")],
        [chunk(delta={"reasoning": "Hm", "content": None}), chunk("Hi")],
        [chunk(c) for c in "<think>Hm</think>\n\nHi"],
        [chunk("\n<think>H"), chunk("m</th"), chunk("ink>\n"), chunk("\nHi")],
        [chunk([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]), chunk("Hi")],
    ],
)
def test_thought_is_told_from_answer(parts: list[bytes]) -> None:
    assert read(*parts, DONE)[:2] == ("Hi", "Hm")


@pytest.mark.parametrize("text", ["<th", "Say <think>a</think>.", "a < b", "<thinking>"])
def test_a_tag_within_an_answer_is_text(text: str) -> None:
    assert read(*(chunk(c) for c in text), DONE)[:2] == (text, "")


def test_a_refusal_is_no_answer_and_not_nothing() -> None:
    text, _, completion = read(
        chunk(delta={"refusal": "I can"}), chunk(delta={"refusal": "not."}, finish_reason="stop")
    )

    assert (text, completion.refusal) == ("", "I cannot.")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([chunk("")], "no answer"),
        ([chunk(" \n")], "no answer"),
        ([chunk(delta={"reasoning": "Hm"})], "thought"),
        ([chunk("<think>Hm", "length")], "thought until its limit"),
        ([chunk(None, "content_filter")], "filter"),
    ],
)
def test_no_answer_is_no_success(parts: list[bytes], said: str) -> None:
    with pytest.raises(AnswerEmpty, match=said):
        read(*parts, DONE)


def test_a_stream_without_an_end_broke_off() -> None:
    with pytest.raises(ModelUnavailable):
        read(chunk("half"))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'data: {"error":{"code":500,"message":"out of memory"}}\n\n', ModelUnavailable),
        (b'data: {"error":"overloaded"}\n\n', ModelUnavailable),
        (b'data: {"error":{"code":400}}\n\n', ModelRefused),
        (b'error: {"code":500}\n\n', ModelUnavailable),
        (b'{"error":{"code":429}}', ModelUnavailable),
    ],
)
def test_an_error_in_the_middle_is_an_error(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(body)


@pytest.mark.parametrize(
    "body",
    [
        b"data: <html>\n\n",
        b"data: []\n\n",
        b'data: {"choices":[7]}\n\n',
        b'data: {"choices":[{"delta":{"content":5}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":[5]}}]}\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":[5]}}]}\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":5}}]}\n\n',
        b'{"choices":7}',
        b"{",
        b'data: {"choices":' + b"[" * 100_000 + b"\n\n",
        b"x" * 2_000_000,
        b"{" + b" " * 9_000_000,
    ],
)
def test_what_is_not_the_protocol_is_refused(body: bytes) -> None:
    with pytest.raises(ModelRefused):
        read(body)


def test_a_generation_that_never_ends_is_stopped() -> None:
    piece = chunk(delta=call({"name": "a", "arguments": "x" * 1000}, index=0))

    with pytest.raises(ModelRefused):
        read(*[piece] * 1100)
