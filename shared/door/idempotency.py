"""`Idempotency-Key`: the same request sent twice has its effect once, and gets the first answer again.

Kept in Redis for 24 hours, per caller and operation. Only successful answers are kept: a refused request had no effect
and may be corrected under the same key. Without Redis a request that carries a key answers 503, because running it
would break the promise; a request without a key does not notice.
"""

import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import Request, Response
from redis.asyncio import Redis
from starlette.responses import StreamingResponse

from shared.errors import Conflict, Invalid, Unavailable
from shared.redis import redis_errors

_log = logging.getLogger("shared.door")
_KEPT_SECONDS = 24 * 3600
_RUNNING_SECONDS = 300  # a process that died mid-way frees its key after this
_KEPT_HEADERS = ("content-type", "location", "etag")
_REPLAYED = "Idempotency-Replayed"


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
    """The record of keys of one service. `replay_stream` re-opens a ReplayableStream by its reference."""

    def __init__(self, redis: Redis, service: str, replay_stream: StreamReplay | None = None) -> None:
        self._redis = redis
        self._service = service
        self._replay_stream = replay_stream

    async def run(self, request: Request, owner: str, key: str, handle: Callable[[], Awaitable[Response]]) -> Response:
        """Answer from the record, or `handle` and record.

        Raises IdempotencyKeyReused, IdempotencyKeyInUse, Unavailable.
        """
        digest = hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()
        name = f"idempotency:{self._service}:{digest}"
        fingerprint = await _fingerprint(request)
        with redis_errors():
            claimed = await self._redis.set(name, orjson.dumps({"of": fingerprint}), nx=True, ex=_RUNNING_SECONDS)
            kept = None if claimed else await self._redis.get(name)
        if kept is not None:
            return await self._replay(request, orjson.loads(kept), fingerprint)
        try:
            response = await handle()
        except BaseException:
            with redis_errors():
                await self._redis.delete(name)
            raise
        await self._keep(name, _record(fingerprint, response))
        return response

    async def _keep(self, name: str, record: bytes) -> None:
        try:
            with redis_errors():
                await self._redis.set(name, record, ex=_KEPT_SECONDS)
        except Unavailable as error:  # the effect has happened and its answer must leave
            _log.warning("answer not kept for its Idempotency-Key", extra={"fields": {"cause": repr(error.__cause__)}})

    async def _replay(self, request: Request, kept: dict[str, Any], fingerprint: str) -> Response:
        if kept["of"] != fingerprint:
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


async def _fingerprint(request: Request) -> str:
    body = await request.body()
    return hashlib.sha256(b"\0".join((request.method.encode(), request.url.path.encode(), body))).hexdigest()


def _record(fingerprint: str, response: Response) -> bytes:
    record: dict[str, Any] = {"of": fingerprint, "status": response.status_code}
    if isinstance(response, ReplayableStream):
        record["reference"] = response.reference
    else:
        record["body"] = base64.b64encode(bytes(response.body)).decode()
        record["headers"] = {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS}
    return orjson.dumps(record)
