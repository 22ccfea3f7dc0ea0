"""Sends one delivery, through the guard of addresses that users name, and says what came of it."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import orjson

from services.tasks.domain import storable
from services.tasks.webhooks.domain import LONGEST_ANSWER, AttemptError, Claimed, Outcome
from services.tasks.webhooks.signing import signature_headers
from shared.outbound import (
    AddressRefused,
    Answer,
    AnswerBroken,
    HostUnknown,
    OutboundClient,
    OutboundError,
    OutboundRequest,
    OutboundTimeout,
    Owner,
    RequestRefused,
)
from shared.schemas import rfc3339
from shared.sealing import Seal

_READ_SECONDS: Final = 2.0  # for what is kept of an answer whose status is known: it decides nothing any more
_FAR_SECONDS: Final = 1e9  # more than is ever waited for
_REDIRECTS, _REFUSALS, _GONE = 300, 400, 410
_WORDS: Final = {
    AddressRefused: AttemptError.ADDRESS_REFUSED,
    RequestRefused: AttemptError.URL_REFUSED,
    HostUnknown: AttemptError.HOST_UNKNOWN,
    OutboundTimeout: AttemptError.TIMEOUT,
    AnswerBroken: AttemptError.ANSWER_BROKEN,
}


def place_of(webhook_id: str) -> str:
    """Where a webhook's secrets are sealed for: moved to another they do not open."""
    return f"webhook:{webhook_id}"


def body_of(type_: str, at: datetime, data: dict[str, object]) -> bytes:
    """What is sent, the same bytes at each attempt."""
    return orjson.dumps({"type": type_, "timestamp": rfc3339(at), "data": data})


class Sender:
    """Signs with every secret that is valid and waits `seconds` for an answer."""

    def __init__(self, outbound: OutboundClient, seal: Seal, *, seconds: float) -> None:
        self._outbound, self._seal, self._seconds = outbound, seal, seconds

    async def send(self, claimed: Claimed) -> Outcome:
        """Never raises for what the receiver does: only an answer of 2xx is one that arrived."""
        at, began = datetime.now(UTC), time.monotonic()

        def outcome(**known: object) -> Outcome:
            return Outcome(at, timedelta(seconds=time.monotonic() - began), **known)  # type: ignore[arg-type]

        opened = [self._seal.open(claimed.tenant_id, place_of(claimed.webhook_id), one) for one in claimed.sealed]
        secrets = [secret for secret in opened if secret is not None]
        if not secrets:
            detail = "The secret was sealed with a key that is no more: rotate it."
            return outcome(error=AttemptError.SECRET_UNREADABLE, detail=detail)
        client = self._outbound.of(Owner(claimed.tenant_id, claimed.user_id))
        try:
            answer = await client.start(self._request(claimed, at, secrets))
        except OutboundError as error:
            word = _WORDS.get(type(error), AttemptError.NOT_REACHED)
            return outcome(error=word, detail=error.detail)
        try:
            text = await _excerpt(answer)
        finally:
            await answer.close()
        status = answer.status
        if (refusal := _refusal_of(status)) is None:
            return outcome(status_code=status, answer=text)
        wish = _retry_after(answer.headers.get("retry-after", ""))
        said = f"The receiver answered {status}."
        return outcome(status_code=status, error=refusal, detail=said, answer=text, retry_after=wish)

    def _request(self, claimed: Claimed, at: datetime, secrets: list[str]) -> OutboundRequest:
        body = body_of(claimed.type, claimed.at, claimed.data)
        headers = signature_headers(claimed.event_id, at, body, secrets)
        return OutboundRequest(
            method="POST",
            url=claimed.url,
            seconds=self._seconds,
            most_bytes=LONGEST_ANSWER,
            headers={"content-type": "application/json", **headers},
            body=body,
        )


async def _excerpt(answer: Answer) -> str:
    """The beginning of the body, or as much of it as came."""
    read = bytearray()
    with suppress(OutboundError, TimeoutError):
        async with asyncio.timeout(_READ_SECONDS):
            async for piece in answer.pieces():
                read += piece
    return storable(read.decode(errors="replace"), LONGEST_ANSWER)


def _refusal_of(status: int) -> AttemptError | None:
    if status == _GONE:
        return AttemptError.GONE
    if _REDIRECTS <= status < _REFUSALS:
        return AttemptError.REDIRECTED
    return None if 200 <= status < _REDIRECTS else AttemptError.STATUS


def _retry_after(header: str) -> float:
    """Seconds, of a number or a date; 0 where it says nothing sensible."""
    if header.isascii() and header.isdecimal():
        return min(float(header), _FAR_SECONDS)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no date, one without a time zone, or one that no calendar has
        return 0.0
