"""What the bytes of a body are read as."""

import json
from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.types import Message

from services.vectors.records import quick
from shared.door import BoundedRequest, Bounds, TooComplex

DEEP = '{"a":"∀","b":' + "[" * 5_000 + "]" * 5_000 + ',"c":"∀"}'


def body_of(content: bytes) -> BoundedRequest:
    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    scope = {"type": "http", "headers": [(b"content-type", b"application/json")]}
    return BoundedRequest(scope, receive, Bounds(kib=1_024), is_form=False)


async def parsed(content: bytes) -> Any:
    return await body_of(content).json()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ['{"a":1}', "[" + "[]," * 2_000 + "[]]", DEEP], ids=["small", "crowded", "deep"])
async def test_nothing_but_utf_8_is_read(encoding: str, text: str) -> None:
    with pytest.raises((RequestValidationError, TooComplex)):
        await parsed(text.encode(encoding))
    with pytest.raises(ValueError):  # noqa: PT011 - the decoder's or the parser's, whichever stops first
        quick.loads(text.encode(encoding))


async def test_a_mark_of_its_order_may_stand_before_utf_8() -> None:
    assert await parsed('{"a":"∀"}'.encode("utf-8-sig")) == {"a": "∀"}


async def test_numbers_keep_their_digits() -> None:
    assert await parsed(b"[%d]" % 10**40) == [10**40]


async def test_what_is_deeper_than_the_parser_goes_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bounds, "require_shape", lambda *_: None)

    with pytest.raises(RequestValidationError):
        await parsed(json.dumps("x").join(["[" * 100_000, "]" * 100_000]).encode())
