"""Claims and answers of keyed requests, for effects that no transaction keeps together.

The *key beside the effect* (`shared.door.once`) makes a repetition find what was made, whatever happened since; without
it nothing else here would be enough. A *claim* in Redis, short and renewed while the request runs, keeps two at once
apart, so that the second is told to wait; it lapses seconds after its process died or Redis stood still, and one that
lapsed is neither missed nor taken back. The *answer*, kept in Redis for 24 hours, is given again as it was. Only
successful answers are kept: a refused request had no effect and may be corrected under the same key.

Without Redis a request that carries a key answers 503, because nobody could tell it from one that still runs; a request
without a key does not notice.
"""

import asyncio
import base64
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import Response
from redis.asyncio import Redis

from shared.door.once import Once
from shared.errors import Conflict, Unavailable
from shared.loops import keep
from shared.redis import redis_errors

_log = logging.getLogger("shared.door")
_KEPT_SECONDS = 24 * 3600
_CLAIM_MS = 8_000  # a repetition waits no longer for a process that died
_RENEWED_SECONDS = 2.0
_AFTER_SECONDS = 2.0  # for what is told to Redis once the effect is there: the answer must leave
_KEPT_HEADERS = ("content-type", "location", "etag")
# A claim is renewed and given back by its owner only: what lapsed may be somebody else's by now.
_RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"
_GIVE_BACK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


class IdempotencyKeyInUse(Conflict):
    code = "common.idempotency_key_in_use"
    meaning = "The first request with this `Idempotency-Key` is still running."
    default_detail = "The first request with this Idempotency-Key is still running."


class Idempotency:
    """The claims and answers of one service."""

    def __init__(self, redis: Redis, service: str) -> None:
        self._redis = redis
        self._service = service
        self._claims: dict[str, bytes] = {}

    async def answer(self, once: Once, handle: Callable[[], Awaitable[Response]]) -> Response:
        """Answer from the record, or `handle` and record.

        Raises IdempotencyKeyReused, IdempotencyKeyInUse, Unavailable.
        """
        name = f"idempotency:{self._service}:{once.digest.hex()}"
        claim = orjson.dumps({"of": once.of.hex(), "by": secrets.token_hex(8)})
        with redis_errors():
            kept: Any = await self._redis.set(name, claim, nx=True, get=True, px=_CLAIM_MS)
        if kept is not None:
            return _again(orjson.loads(kept), once)
        async with self._claimed(name, claim):
            response = await handle()
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


def _again(kept: dict[str, Any], once: Once) -> Response:
    once.found(bytes.fromhex(kept["of"]))
    if "status" not in kept:
        raise IdempotencyKeyInUse(headers={"Retry-After": "1"})
    return Response(base64.b64decode(kept["body"]), status_code=kept["status"], headers=kept["headers"])


def _record(once: Once, response: Response) -> bytes:
    return orjson.dumps(
        {
            "of": once.of.hex(),
            "status": response.status_code,
            "body": base64.b64encode(bytes(response.body)).decode(),
            "headers": {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS},
        }
    )
