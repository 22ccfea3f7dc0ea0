"""What nobody has read of a body is taken before a refusal leaves."""

import asyncio
from itertools import count

import pytest
from starlette.types import Message

from shared.door import BoundedRequest, Bounds
from shared.errors import TooLarge
from shared.web.unread import drain
from tests.fixtures.patience import PATIENCE_SECONDS


class Coming:
    """A body that comes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.left = list(pieces)

    async def receive(self) -> Message:
        if not self.left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self.left.pop(0), "more_body": bool(self.left)}


LENGTH = {b"content-length": b"3"}


def request(coming: Coming, **bounds: int) -> BoundedRequest:
    scope = {"type": "http", "headers": []}
    return BoundedRequest(scope, coming.receive, Bounds(**bounds), is_form=False)


async def test_what_is_left_is_taken() -> None:
    coming = Coming(b"a" * 2_000, b"b", b"c")
    refused = request(coming, kib=1)
    with pytest.raises(TooLarge):
        await refused.body()
    assert coming.left == [b"b", b"c"]

    await drain(LENGTH, refused.scope, coming.receive)

    assert coming.left == []


async def test_after_what_has_come_whole_nobody_waits() -> None:
    coming = Coming(b"a", b"b")
    read = request(coming)
    assert await read.body() == b"ab"
    coming.left = [b"of nobody"]

    await drain(LENGTH, read.scope, coming.receive)

    assert coming.left == [b"of nobody"]


@pytest.mark.parametrize("given", [{}, {b"content-length": b"0"}])
async def test_where_there_is_no_body_nobody_waits_for_one(given: dict[bytes, bytes]) -> None:
    coming = Coming(b"a")

    await drain(given, {}, coming.receive)

    assert coming.left == [b"a"]


async def test_a_body_without_a_length_is_taken_too() -> None:
    coming = Coming(b"a", b"b")

    await drain({b"transfer-encoding": b"chunked"}, {}, coming.receive)

    assert coming.left == []


async def test_more_than_the_gateway_lets_through_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.web.unread._DRAINED_BYTES", 2)
    coming = Coming(b"a", b"b", b"c")

    await drain(LENGTH, {}, coming.receive)

    assert coming.left == [b"c"]


async def test_who_is_gone_is_not_waited_for() -> None:
    coming = Coming()

    await drain(LENGTH, {}, coming.receive)


@pytest.mark.parametrize(("piece", "is_taken"), [(b"a" * 2**20, True), (b"a", False)], ids=["slow", "trickling"])
async def test_what_trickles_is_not_taken(monkeypatch: pytest.MonkeyPatch, piece: bytes, is_taken: bool) -> None:
    monkeypatch.setattr("shared.web.unread._GRACE_SECONDS", 0.2)
    monkeypatch.setattr("shared.web.unread._SLOWEST", 2**10)
    numbers = count(1)
    last = 0

    async def receive() -> Message:
        nonlocal last
        if (last := next(numbers)) > 1:
            await asyncio.sleep(0.05)  # on its way
        return {"type": "http.request", "body": piece, "more_body": last < 20}

    async with asyncio.timeout(PATIENCE_SECONDS):
        await drain(LENGTH, {}, receive)

    assert (last == 20) is is_taken
