"""Sessions and transactions of one service's database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from shared import telemetry
from shared.errors import ServiceError, StorageFull, Unavailable

# SQLSTATEs of a server that cannot take this now: connection, resources, an operator's hand (start, stop), read-only,
# a transaction that it ended so that another could go on, and one of a process that was frozen in its midst.
_NOT_NOW = ("08", "53", "57", "25006", "40P01", "25P03")
_COMMIT = {telemetry.conventions.DB_SYSTEM: "postgresql", telemetry.conventions.DB_OPERATION: "COMMIT"}
_READ_ONLY, _DISK_FULL, _DEADLOCK = "25006", "53100", "40P01"


@contextmanager
def postgres_errors() -> Iterator[None]:
    """Translate a database that cannot be reached, or cannot take more now.

    Raises Unavailable("postgres"), StorageFull("postgres") when its disk is full. Other errors pass.
    """
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
        raise Unavailable("postgres") from error
    except asyncpg.PostgresError as error:  # while connecting, where SQLAlchemy does not wrap it
        if is_passing(error):
            raise _passing(error) from error
        raise
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error.orig, TimeoutError) or is_passing(error.orig):
            raise _passing(error.orig) from error
        raise


def _passing(error: BaseException | None) -> Unavailable:
    return StorageFull("postgres") if _sqlstate(error) == _DISK_FULL else Unavailable("postgres")


def is_passing(error: BaseException | None) -> bool:
    """Whether the server may take later what it refuses now."""
    return _sqlstate(error).startswith(_NOT_NOW)


def refuses_writes(error: BaseException | None) -> bool:
    """Whether the server reads and does not write: it was set so, or is a standby."""
    return _sqlstate(getattr(error, "orig", error)) == _READ_ONLY


def is_deadlock(error: BaseException | None) -> bool:
    """Whether the server ended the transaction because it and another waited for each other: once more it may do."""
    return _sqlstate(getattr(error, "orig", error)) == _DEADLOCK


def _sqlstate(error: BaseException | None) -> str:
    return str(getattr(error, "sqlstate", None) or "")


async def _commit(session: AsyncSession) -> None:
    with telemetry.span("COMMIT", telemetry.SpanKind.CLIENT, _COMMIT):
        await session.commit()


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
                    await _commit(session)
                raise
            await _commit(session)

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[AsyncSession]:
        """A session whose every statement is a transaction of its own: one round trip where `transaction` takes three.

        Raises Unavailable when PostgreSQL cannot be reached.
        """
        with postgres_errors():
            async with self._single_statements() as session:
                yield session
