"""What nobody has read of a body is taken before a refusal leaves."""

import pytest
from starlette.types import Message

from shared.web.unread import Unread


class Coming:
    """A body that comes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.left = list(pieces)

    async def receive(self) -> Message:
        if not self.left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self.left.pop(0), "more_body": bool(self.left)}


LENGTH = {b"content-length": b"3"}


async def test_what_is_left_is_taken() -> None:
    coming = Coming(b"a", b"b", b"c")
    unread = Unread(LENGTH, coming.receive)
    assert (await unread.receive())["body"] == b"a"

    await unread.drain()

    assert coming.left == []


@pytest.mark.parametrize("given", [{}, {b"content-length": b"0"}])
async def test_where_there_is_no_body_nobody_waits_for_one(given: dict[bytes, bytes]) -> None:
    coming = Coming(b"a")

    await Unread(given, coming.receive).drain()

    assert coming.left == [b"a"]


async def test_a_body_without_a_length_is_taken_too() -> None:
    coming = Coming(b"a", b"b")

    await Unread({b"transfer-encoding": b"chunked"}, coming.receive).drain()

    assert coming.left == []


async def test_more_than_the_gateway_lets_through_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.web.unread._DRAINED_BYTES", 2)
    coming = Coming(b"a", b"b", b"c")

    await Unread(LENGTH, coming.receive).drain()

    assert coming.left == [b"c"]


async def test_who_is_gone_is_not_waited_for() -> None:
    coming = Coming()

    await Unread(LENGTH, coming.receive).drain()
