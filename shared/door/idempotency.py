"""`Idempotency-Key`: the same request sent twice has its effect once, and gets the first answer again.

Three things hold it together. The *key beside the effect* (`shared.door.once`) makes a repetition find what was made,
whatever happened since; without it nothing else here would be enough. A *claim* in Redis, short and renewed while the
request runs, keeps two at once apart, so that the second is told to wait; it lapses seconds after its process died or
Redis stood still, and one that lapsed is neither missed nor taken back. The *answer*, kept in Redis for 24 hours, is
given again as it was. Only successful answers are kept: a refused request had no effect and may be corrected under the
same key.

Without Redis a request that carries a key answers 503, because nobody could tell it from one that still runs; a request
without a key does not notice.
"""

import asyncio
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
from shared.errors import Conflict, Unavailable
from shared.loops import keep
from shared.redis import redis_errors

_log = logging.getLogger("shared.door")
_KEPT_SECONDS = 24 * 3600
_CLAIM_MS = 8_000  # a repetition waits no longer for a process that died
_RENEWED_SECONDS = 2.0
_AFTER_SECONDS = 2.0  # for what is told to Redis once the effect is there: the answer must leave
_KEPT_HEADERS = ("content-type", "location", "etag")
_REPLAYED = "Idempotency-Replayed"
# A claim is renewed and given back by its owner only: what lapsed may be somebody else's by now.
_RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"
_GIVE_BACK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


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
        self._claims: dict[str, bytes] = {}

    async def answer(
        self, request: Request, owner: str, key: str, handle: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Answer from the record, or `handle` and record.

        Raises IdempotencyKeyReused, IdempotencyKeyInUse, Unavailable.
        """
        digest = hashlib.sha256(f"{owner}\0{key}".encode())
        once = Once(digest.digest(), await _fingerprint(request))
        name = f"idempotency:{self._service}:{digest.hexdigest()}"
        claim = orjson.dumps({"of": once.of.hex(), "by": secrets.token_hex(8)})
        with redis_errors():
            kept: Any = await self._redis.set(name, claim, nx=True, get=True, px=_CLAIM_MS)
        if kept is not None:
            return await self._replay(request, orjson.loads(kept), once)
        remember(request, once)
        async with self._claimed(name, claim):
            response = await handle()
            if once.is_repetition:
                response.headers[_REPLAYED] = "true"
        await self._afterwards("answer not kept", self._redis.set(name, _record(once, response), ex=_KEPT_SECONDS))
        return response

    @asynccontextmanager
    async def _claimed(self, name: str, claim: bytes) -> AsyncIterator[None]:
        """Hold the claim through the block; given back when it fails, so that the request may be repeated at once."""
        self._claims[name] = claim
        try:
            yield
        except BaseException:
            await self._afterwards("claim not given back", self._redis.eval(_GIVE_BACK, 1, name, claim))
            raise
        finally:
            if self._claims.get(name) is claim:  # one that lapsed may have been followed by another of this process
                del self._claims[name]

    async def run(self) -> None:
        """Renew the claims of the requests that take long. Never returns; started and ended with the service."""
        await keep(self._renew, log=_log, every_seconds=_RENEWED_SECONDS)

    async def _renew(self) -> None:
        if not self._claims:
            return
        with redis_errors():
            pipeline = self._redis.pipeline(transaction=False)
            for name, claim in self._claims.items():
                pipeline.eval(_RENEW, 1, name, claim, _CLAIM_MS)
            await pipeline.execute()

    async def _afterwards(self, what_failed: str, told: Awaitable[object]) -> None:
        """What a repetition can do without: it finds the effect by its key, once the claim has lapsed."""
        try:
            with redis_errors():
                async with asyncio.timeout(_AFTER_SECONDS):
                    await told
        except Unavailable as error:
            _log.warning(what_failed, extra={"fields": {"cause": repr(error.__cause__)}})

    async def _replay(self, request: Request, kept: dict[str, Any], once: Once) -> Response:
        once.found(bytes.fromhex(kept["of"]))
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
