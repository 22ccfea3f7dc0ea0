"""Opens a service's own database: one bounded pool, created and migrated at start."""

import functools
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, NullPool, PoolProxiedConnection

from shared import telemetry
from shared.postgres.database import Database, is_passing, postgres_errors
from shared.postgres.migrating import is_migrated, migrate
from shared.postgres.tracing import trace_statements
from shared.settings import CannotStart
from shared.telemetry import PoolUse

_log = logging.getLogger("shared.postgres")
_POOL_SIZE = 20  # and none beyond: those would be closed after each use, and a handshake costs more than a statement
_POOL_WAIT_SECONDS = 2.0
_CONNECT_SECONDS = 3.0
_CREATE_SECONDS = 60.0  # a database is files that are copied
_STATEMENT_SECONDS = 10.0
_IDLE_SECONDS = 30  # in the midst of a transaction: a process that is frozen keeps nobody from its locks for longer
_MIGRATION_SECONDS = 3600.0  # of one statement: an index of a large table takes minutes, and half of it is of no use
_TRUSTED_SECONDS = 5.0  # how long an idle connection is taken to be alive


class _CountedPool(AsyncAdaptedQueuePool):
    """Knows how many ask for a connection of it."""

    asking = 0

    def connect(self) -> PoolProxiedConnection:
        self.asking += 1
        try:
            return super().connect()
        finally:
            self.asking -= 1


def _use(engine: AsyncEngine) -> PoolUse:
    pool = engine.pool
    assert isinstance(pool, _CountedPool)  # noqa: S101 - as it was made
    used = pool.checkedout()
    return PoolUse(used, pool.checkedin(), pool.asking if used >= _POOL_SIZE else 0, _POOL_SIZE)


@asynccontextmanager
async def open_database(server_url: str, name: str, migrations: Path) -> AsyncIterator[Database]:
    """The database `name` on the server, created when missing and migrated to head.

    Raises Unavailable, and CannotStart for an address or a role that will not do.
    """
    url = _database_url(server_url, name)
    with postgres_errors(), _refusals(name):
        await _create_when_missing(url)
    engine = create_async_engine(
        url,
        poolclass=_CountedPool,
        pool_size=_POOL_SIZE,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        **_options(_STATEMENT_SECONDS, {"idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s"}),
    )
    _check_before_use(engine)
    if telemetry.is_recording():
        trace_statements(engine)
    try:
        with postgres_errors(), _refusals(name):
            if not await is_migrated(engine, migrations):
                await _migrate(url, migrations)
        with telemetry.measured_pool("postgres", functools.partial(_use, engine)):
            yield Database(engine)
    finally:
        # Whoever still has a connection gives it back to a pool that nobody looks at any more.
        event.listen(engine.sync_engine, "checkin", _leave)
        await engine.dispose()


def _leave(_: object, connection: ConnectionPoolEntry) -> None:
    connection.close()


async def _migrate(url: URL, migrations: Path) -> None:
    engine = create_async_engine(url, poolclass=NullPool, **_options(_MIGRATION_SECONDS))
    try:
        await migrate(engine, migrations)
    finally:
        await engine.dispose()


def _options(statement_seconds: float, of_session: dict[str, str] | None = None) -> dict[str, Any]:
    """`of_session` are PostgreSQL's own settings."""
    seconds = {"timeout": _CONNECT_SECONDS, "command_timeout": statement_seconds}
    return {
        "hide_parameters": True,  # its errors are logged, and quote the statement's values otherwise
        "connect_args": {**seconds, "server_settings": of_session or {}},
    }


def _database_url(server_url: str, name: str) -> URL:
    try:
        return make_url(server_url).set(database=name)
    except (ArgumentError, ValueError) as error:  # their text quotes the URL
        reason = "is no address of a server: postgresql+asyncpg://user:password@host:port/"
        raise CannotStart("DATABASE_URL", reason) from error


@contextmanager
def _refusals(database: str) -> Iterator[None]:
    """What PostgreSQL will refuse at the next start as well: the role, its rights, tables that are somebody else's."""
    try:
        yield
    except (asyncpg.PostgresError, DBAPIError) as error:
        told = error if isinstance(error, asyncpg.PostgresError) else getattr(error.orig, "__cause__", None)
        if not isinstance(told, asyncpg.PostgresError) or is_passing(told):
            raise
        reason = f"PostgreSQL refuses to open the database {database!r}: {told.args[0]} (SQLSTATE {told.sqlstate})"
        raise CannotStart("DATABASE_URL", reason) from error


def _check_before_use(engine: AsyncEngine) -> None:
    """What `pool_pre_ping` is for, without its round trip at every use.

    A connection that the server closed is known to be closed; only one that nobody used for a while may be dead in
    silence, and is asked.
    """

    @event.listens_for(engine.sync_engine, "checkin")
    def put_back(_connection: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def taken(connection: Any, record: Any, _proxy: Any) -> None:
        if connection.driver_connection.is_closed():
            raise InvalidatePoolError
        if time.monotonic() - record.info.get("idle_since", time.monotonic()) < _TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error


async def _create_when_missing(url: URL) -> None:
    try:
        async with _connected(url):
            pass
    except asyncpg.InvalidCatalogNameError:
        async with _connected(url.set(database="postgres")) as connection:
            try:
                await connection.execute(f'CREATE DATABASE "{url.database}"')
            except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                _log.info("another replica created the database first")


@asynccontextmanager
async def _connected(url: URL) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_SECONDS, command_timeout=_CREATE_SECONDS)
    try:
        yield connection
    finally:
        await connection.close(timeout=_CONNECT_SECONDS)  # a server that is frozen meanwhile keeps no start for ever
