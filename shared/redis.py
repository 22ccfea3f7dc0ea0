"""Redis, opened once, with every wait bounded and its failures named."""

import asyncio
import errno
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared import telemetry
from shared.errors import StorageFull, Unavailable
from shared.health import Finding, require_kept
from shared.settings import CannotStart
from shared.telemetry import PoolUse, Span, SpanKind, Value, conventions

REDIS_REMEDY = "look at its memory, its disk and its log, then restart it (`make up`)"
_MAX_CONNECTIONS = 64
_POOL_WAIT_SECONDS = 1.0
_CONNECT_SECONDS = 1.0
_COMMAND_SECONDS = 5.0
# A server that is there and cannot take this command now: full, a replica, without a master, without its disk.
_NOT_NOW = (OutOfMemoryError, ReadOnlyError, MasterDownError, ClusterDownError, TryAgainError)
_NOT_NOW_CODES = ("OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF")
_DISK_FULL = os.strerror(errno.ENOSPC)  # how a Redis that could not write its log says so, behind MISCONF
_PROBE_MS = 60_000


class _BoundedSending(AbstractConnection):
    """Bounds sending by `asyncio.timeout`.

    The library bounds it by `asyncio.wait_for`, which drops one cancel in five of those that come while Redis answers.
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        seconds, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(seconds):
                await super().send_packed_command(command, check_health)
        finally:
            self.socket_timeout = seconds


class _SeenToBeClosed(AbstractConnection):
    """Tells the pool, which asks before it hands a connection out, when the server has closed it meanwhile.

    The library looks for unread data only: after a restart of Redis each idle connection would cost one request.
    """

    async def can_read(self) -> bool:
        reader = self._reader
        if reader is not None and (reader.at_eof() or reader.exception() is not None):
            raise RedisConnectionError("closed by the server while idle")
        return bool(await super().can_read())


class _Connection(_BoundedSending, _SeenToBeClosed, Connection):
    pass


class _TlsConnection(_BoundedSending, _SeenToBeClosed, SSLConnection):
    pass


class _CountedPool(BlockingConnectionPool):
    """Knows how many wait for a connection of it."""

    asking = 0

    async def get_connection(self, *args: Any, **options: Any) -> Any:
        self.asking += 1
        try:
            return await super().get_connection(*args, **options)  # type: ignore[no-untyped-call] # as below
        finally:
            self.asking -= 1

    def use(self) -> PoolUse:
        """Whoever asks waits, if for a moment: where none is free, until one is."""
        (idle, _), (used, _) = self.get_connection_count()
        return PoolUse(used, idle, self.asking if used >= self.max_connections else 0, self.max_connections)


class _TracedRedis(Redis):
    """A span for each command of a trace that is recorded: its name, and nothing of its keys and values."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with _span_of(str(args[0]).upper()):
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # as the library has it

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return _TracedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _TracedPipeline(Pipeline):
    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        with _span_of("PIPELINE") as span:
            span.set(conventions.DB_BATCH_SIZE, len(self))
            return await super().execute(raise_on_error)


def _span_of(operation: str) -> Span:
    attributes: dict[str, Value] = {conventions.DB_SYSTEM: "redis", conventions.DB_OPERATION: operation}
    return telemetry.span(operation, SpanKind.CLIENT, attributes)


@asynccontextmanager
async def open_redis(
    url: str, *, setting: str = "REDIS_URL", command_seconds: float = _COMMAND_SECONDS
) -> AsyncIterator[Redis]:
    """A client over one bounded pool. Connecting is lazy: a Redis that is down keeps no service from starting.

    Raises CannotStart, which names the `setting`, for an address that is none.
    """
    try:
        pool = _CountedPool.from_url(
            url,
            max_connections=_MAX_CONNECTIONS,
            timeout=_POOL_WAIT_SECONDS,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=command_seconds,
            health_check_interval=30,
            driver_info=None,  # naming itself, the driver would look up its version on disk at every connect
            decode_responses=False,
        )
    except ValueError as error:
        raise CannotStart(setting, "is no address of a Redis: redis://:password@host:port/0") from error
    pool.connection_class = _TlsConnection if issubclass(pool.connection_class, SSLConnection) else _Connection
    client = (_TracedRedis if telemetry.is_recording() else Redis)(connection_pool=pool)
    try:
        with telemetry.measured_pool(setting.removesuffix("_URL").lower().replace("_", "-"), pool.use):
            yield client
    finally:
        await client.aclose()
        await pool.aclose()


@contextmanager
def redis_errors() -> Iterator[None]:
    """Translate what the driver raises inside the block. Raises Unavailable("redis"), StorageFull("redis")."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise Unavailable("redis") from error
    except _NOT_NOW as error:
        raise Unavailable("redis") from error
    except ResponseError as error:
        if _DISK_FULL in str(error):
            raise StorageFull("redis") from error
        if str(error).startswith(_NOT_NOW_CODES):  # raised inside a script, the code stays in the text
            raise Unavailable("redis") from error
        raise


async def write_and_read_back(redis: Redis, instance: str) -> None:
    """What a ping does not show: that it takes a write, which a full or read-only Redis does not.

    Raises Finding, Unavailable, StorageFull. The key of an instance is its own, and goes by itself.
    """
    key, token = f"health:{instance}", secrets.token_bytes(8)
    try:
        with redis_errors():
            await redis.set(key, token, px=_PROBE_MS)
            found = await redis.get(key)
    except StorageFull:
        raise
    except Unavailable as error:
        if isinstance(error.__cause__, ResponseError):
            raise Finding("redis refuses writes") from error
        raise
    require_kept("redis", token, found)
