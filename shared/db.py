"""PostgreSQL under SQLAlchemy 2 async: one bounded pool per service, its own database, migrations under a lock."""

import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import Connection, MetaData, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from shared.errors import ServiceError, Unavailable

_log = logging.getLogger("shared.db")
_POOL_SIZE = 20  # and none beyond: those would be closed after each use, and a handshake costs more than a statement
_POOL_WAIT_SECONDS = 2.0
_CONNECT_SECONDS = 3.0
_STATEMENT_SECONDS = 10.0
_TRUSTED_SECONDS = 5.0  # how long an idle connection is taken to be alive
_MIGRATION_LOCK = 0x5A7A2  # any constant: one advisory lock per database
_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Subclass it once per service, as the root of that service's tables, with a `metadata` of its own."""

    __abstract__ = True


def new_metadata() -> MetaData:
    """An empty set of tables, whose indexes and constraints are named by one rule."""
    return MetaData(naming_convention=_CONVENTION)


@contextmanager
def postgres_errors() -> Iterator[None]:
    """Translate a database that cannot be reached. Raises Unavailable("postgres"); other errors pass."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, OSError, asyncpg.PostgresConnectionError) as error:
        raise Unavailable("postgres") from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, TimeoutError):
            raise Unavailable("postgres") from error
        raise


class Database:
    """One service's database. Sessions neither commit nor retry by themselves."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._single_statements = async_sessionmaker(single, expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session rolled back unless it was committed. Raises Unavailable when PostgreSQL cannot be reached."""
        with postgres_errors():
            async with self._sessions() as session:
                yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session committed when the block ends well, or with an error that `keeps_effects`."""
        async with self.session() as session:
            try:
                yield session
            except ServiceError as error:
                if error.keeps_effects:
                    await session.commit()
                raise
            await session.commit()

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[AsyncSession]:
        """A session whose every statement is a transaction of its own: one round trip where `transaction` takes three.

        Raises Unavailable when PostgreSQL cannot be reached.
        """
        with postgres_errors():
            async with self._single_statements() as session:
                yield session

    async def ping(self) -> None:
        """Raises an error when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))


@asynccontextmanager
async def open_database(server_url: str, name: str, migrations: Path) -> AsyncIterator[Database]:
    """The database `name` on the server, created when missing and migrated to head. Raises Unavailable."""
    url = make_url(server_url).set(database=name)
    with postgres_errors():
        await _create_when_missing(url)
    engine = create_async_engine(
        url,
        pool_size=_POOL_SIZE,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        hide_parameters=True,  # its errors are logged, and quote the statement's values otherwise
        connect_args={"timeout": _CONNECT_SECONDS, "command_timeout": _STATEMENT_SECONDS},
    )
    _check_before_use(engine)
    try:
        with postgres_errors():
            await _migrate(engine, migrations)
        yield Database(engine)
    finally:
        await engine.dispose()


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
    dsn = url.set(drivername="postgresql")
    try:
        connection = await asyncpg.connect(dsn.render_as_string(hide_password=False), timeout=_CONNECT_SECONDS)
    except asyncpg.InvalidCatalogNameError:
        connection = await asyncpg.connect(
            dsn.set(database="postgres").render_as_string(hide_password=False), timeout=_CONNECT_SECONDS
        )
        try:
            await connection.execute(f'CREATE DATABASE "{url.database}"')
        except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            _log.info("another replica created the database first")
    await connection.close()


async def _migrate(engine: AsyncEngine, migrations: Path) -> None:
    async with engine.begin() as connection:
        # Replicas that start at once queue here; the first migrates, the others find nothing to do.
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        if await _revision(connection) != newest_revision(migrations):
            await connection.run_sync(_upgrade, migrations)


async def _revision(connection: AsyncConnection) -> str | None:
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def newest_revision(migrations: Path) -> str:
    """The head, read off the file names (`0001_identity.py`): most starts have nothing to migrate and skip Alembic."""
    return max(path.name for path in (migrations / "versions").glob("[0-9]*.py")).partition("_")[0]


def _upgrade(connection: Connection, migrations: Path) -> None:
    from alembic import command  # imported when needed: it costs as much memory and start time as SQLAlchemy's core
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def run_migrations(target_metadata: MetaData) -> None:
    """What every service's `migrations/env.py` calls, on the connection that `_upgrade` handed over."""
    from alembic import context

    connection: Any = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()
