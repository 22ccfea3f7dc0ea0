"""`Idempotency-Key`: the same request sent twice has its effect once, and gets the first answer again.

Three things hold it together. A *claim* in Redis, short and renewed while the request runs, keeps two at once apart; it
lapses by itself seconds after its process died or Redis stood still. The *key beside the effect* (`shared.door.once`)
makes a repetition find what was made when nobody heard of it. The *answer*, kept in Redis for 24 hours, is given again
as it was. Only successful answers are kept: a refused request had no effect and may be corrected under the same key.

Without Redis a request that carries a key answers 503, because running it would break the promise; a request without a
key does not notice.
"""

import base64
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import Request, Response
from redis.asyncio import Redis
from starlette.responses import StreamingResponse

from shared.door.once import Once, remember
from shared.errors import Conflict, Invalid, Unavailable
from shared.loops import in_background, keep
from shared.redis import redis_errors

_log = logging.getLogger("shared.door")
_KEPT_SECONDS = 24 * 3600
_CLAIM_MS = 8_000  # a repetition waits no longer for a process that died
_RENEWED_SECONDS = 2.0
_KEPT_HEADERS = ("content-type", "location", "etag")
_REPLAYED = "Idempotency-Replayed"
# A claim is renewed and given back by its owner only: what lapsed may be somebody else's by now.
_RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"
_GIVE_BACK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


class IdempotencyKeyReused(Invalid):
    code = "common.idempotency_key_reused"
    meaning = "This `Idempotency-Key` came with another body before; a new request needs a new key."
    default_detail = "This Idempotency-Key was used for a different request."


class IdempotencyKeyInUse(Conflict):
    code = "common.idempotency_key_in_use"
    meaning = "The first request with this `Idempotency-Key` is still running."
    default_detail = "The first request with this Idempotency-Key is still running."


class ReplayableStream(StreamingResponse):
    """A stream that a repeated request can be given again by `reference` (an id its service understands)."""

    def __init__(self, *args: Any, reference: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reference = reference


StreamReplay = Callable[[Request, str], Awaitable[Response]]


class Idempotency:
    """The keys of one service. `replay_stream` re-opens a ReplayableStream by its reference."""

    def __init__(self, redis: Redis, service: str, replay_stream: StreamReplay | None = None) -> None:
        self._redis = redis
        self._service = service
        self._replay_stream = replay_stream

    async def run(self, request: Request, owner: str, key: str, handle: Callable[[], Awaitable[Response]]) -> Response:
        """Answer from the record, or `handle` and record.

        Raises IdempotencyKeyReused, IdempotencyKeyInUse, Unavailable.
        """
        digest = hashlib.sha256(f"{owner}\0{key}".encode())
        once = Once(digest.digest(), await _fingerprint(request))
        name = f"idempotency:{self._service}:{digest.hexdigest()}"
        claim = orjson.dumps({"of": once.of.hex(), "by": secrets.token_hex(8)})
        with redis_errors():
            claimed = await self._redis.set(name, claim, nx=True, px=_CLAIM_MS)
            kept = None if claimed else await self._redis.get(name)
        if kept is not None:
            return await self._replay(request, orjson.loads(kept), once)
        remember(request, once)
        async with self._claimed(name, claim):
            response = await handle()
        if once.is_repetition:
            response.headers[_REPLAYED] = "true"
        await self._keep(name, _record(once, response))
        return response

    @asynccontextmanager
    async def _claimed(self, name: str, claim: bytes) -> AsyncIterator[None]:
        """Hold the claim through the block; given back when it fails, so that the request may be repeated at once."""

        async def renew() -> None:
            with redis_errors():
                await self._redis.eval(_RENEW, 1, name, claim, _CLAIM_MS)

        try:
            async with in_background(keep(renew, log=_log, every_seconds=_RENEWED_SECONDS, pauses_first=True)):
                yield
        except BaseException:
            await self._give_back(name, claim)
            raise

    async def _give_back(self, name: str, claim: bytes) -> None:
        try:
            with redis_errors():
                await self._redis.eval(_GIVE_BACK, 1, name, claim)
        except Unavailable as error:  # it lapses by itself
            _log.warning("a claim was not given back", extra={"fields": {"cause": repr(error.__cause__)}})

    async def _keep(self, name: str, record: bytes) -> None:
        try:
            with redis_errors():
                await self._redis.set(name, record, ex=_KEPT_SECONDS)
        except Unavailable as error:  # the effect has happened and its answer must leave
            _log.warning("answer not kept for its Idempotency-Key", extra={"fields": {"cause": repr(error.__cause__)}})

    async def _replay(self, request: Request, kept: dict[str, Any], once: Once) -> Response:
        if kept["of"] != once.of.hex():
            raise IdempotencyKeyReused
        if "status" not in kept:
            raise IdempotencyKeyInUse(headers={"Retry-After": "1"})
        if reference := kept.get("reference"):
            assert self._replay_stream is not None, "a service that returns ReplayableStream gives replay_stream"  # noqa: S101
            response = await self._replay_stream(request, reference)
        else:
            response = Response(base64.b64decode(kept["body"]), status_code=kept["status"], headers=kept["headers"])
        response.headers[_REPLAYED] = "true"
        return response


async def _fingerprint(request: Request) -> bytes:
    body = await request.body()
    return hashlib.sha256(b"\0".join((request.method.encode(), request.url.path.encode(), body))).digest()


def _record(once: Once, response: Response) -> bytes:
    record: dict[str, Any] = {"of": once.of.hex(), "status": response.status_code}
    if isinstance(response, ReplayableStream):
        record["reference"] = response.reference
    else:
        record["body"] = base64.b64encode(bytes(response.body)).decode()
        record["headers"] = {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS}
    return orjson.dumps(record)
