"""A stream ends when who hears it may hear no more, whether they read or not."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from shared.identity import Authenticator, Caller, HeldRevocations, Revocation, Revocations, TokenVerifier, user_subject
from shared.limits import Shares
from shared.web import Followed, Listener
from tests.fixtures.patience import PATIENCE_SECONDS

UNASKED: Any = None
SCOPE = {"type": "http", "asgi": {"spec_version": "2.4"}}


def listener(revocations: Revocations, *, expires_in: float = 600) -> Listener:
    verifier = TokenVerifier(UNASKED, HeldRevocations(revocations), issuer="", audience="")
    now = time.time()
    caller = Caller("ada", "acme", frozenset(), "1", issued_at=now - 60, expires_at=now + expires_in, token="")
    return Listener(caller, Authenticator(verifier, UNASKED))


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def sent_by(stream: Followed) -> list[bytes]:
    sent: list[bytes] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])

    async with asyncio.timeout(PATIENCE_SECONDS):
        await stream(dict(SCOPE), never, send)
    return sent


async def test_after_a_revocation_no_frame_is_sent() -> None:
    revocations, places = Revocations(), Shares("streams", 4)

    async def frames() -> AsyncIterator[bytes]:
        yield b"before"
        revocations.add(Revocation(time.time() + 600, user_subject("ada")))
        yield b"after"

    place = places.take("acme", "ada")
    assert place is not None
    sent = await sent_by(Followed(frames(), place, listener(revocations)))

    assert b"".join(sent) == b"before"
    assert places.free == 4


async def test_a_silent_stream_ends_with_its_token() -> None:
    async def frames() -> AsyncIterator[bytes]:
        yield b"only"
        await asyncio.Event().wait()

    for left in (0.1, 2, 20):  # for a machine that stands still before it is begun
        place = Shares("streams", 4).take("acme", "ada")
        assert place is not None
        sent = await sent_by(Followed(frames(), place, listener(Revocations(), expires_in=left - 5)))
        if any(sent):
            break

    assert b"".join(sent) == b"only"


async def test_one_that_does_not_read_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.web.streaming._LEEWAY_SECONDS", 0.05)
    places = Shares("streams", 4)

    async def frames() -> AsyncIterator[bytes]:
        yield b"unread"

    async def send(_message: Message) -> None:
        await asyncio.Event().wait()

    place = places.take("acme", "ada")
    assert place is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        await Followed(frames(), place, listener(Revocations(), expires_in=0.05))(dict(SCOPE), never, send)

    assert places.free == 4
