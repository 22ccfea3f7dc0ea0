"""Neo4j, opened once: units of work in managed transactions, every wait bounded, driver errors translated.

A unit of work is a coroutine function over one transaction. The driver runs it again after a deadlock, a lost
connection, a change of leader, or where somebody deleted what it found before it had the lock. So it may run more than
once; only the run that is committed has an effect.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, LiteralString, Protocol, TypeVar

from neo4j import (
    READ_ACCESS,
    WRITE_ACCESS,
    AsyncDriver,
    AsyncGraphDatabase,
    AsyncManagedTransaction,
    AsyncResult,
    AsyncSession,
    Query,
    unit_of_work,
)
from neo4j.exceptions import (
    AuthError,
    ClientError,
    ConfigurationError,
    ConnectionPoolError,
    DriverError,
    IncompleteCommit,
    Neo4jError,
)

from services.agents.settings import Settings
from shared import deadlines, telemetry
from shared.errors import Unavailable
from shared.health import require_kept
from shared.settings import CannotStart, require_address
from shared.telemetry import PoolUse, conventions, measured_pool

Result = TypeVar("Result")
Transaction = TypeVar("Transaction")
Work = Callable[[AsyncManagedTransaction], Awaitable[Result]]


class Statements(Protocol):
    """What a repository needs of a transaction."""

    async def run(
        self, query: LiteralString, parameters: dict[str, Any] | None = None, **named: Any
    ) -> AsyncResult: ...


Look = Callable[[Statements], Awaitable[Result]]
"""Work of one statement."""

_COMPONENT = "neo4j"
_SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
# The driver's own first delay is a second, made for clusters; the loser of a deadlock may go on at once.
_FIRST_RETRY_SECONDS, _RETRY_FACTOR = 0.02, 3.0
_IDLE_SECONDS = 60  # a connection unused for longer is tested before use: the server may have restarted meanwhile
_LIFETIME_SECONDS = 3600
# Errors that the server does not call passing, and are not of our making: its disk, its mode, its log, a restart due.
_NOT_SERVING = (
    "Neo.ClientError.Transaction.TransactionTimedOut",
    "Neo.ClientError.Transaction.LockClientStopped",  # the same, of one that waits for a lock
    "Neo.ClientError.Security.",
    "Neo.ClientError.General.ForbiddenOnReadOnlyDatabase",
    "Neo.ClientError.General.WriteOnReadOnlyAccessDatabase",
    "Neo.DatabaseError.Transaction.",
    "Neo.DatabaseError.General.",
)
_GONE_MEANWHILE = "Neo.ClientError.Statement.EntityNotFound"
_PROBE = """
    MERGE (p:HealthProbe {instance: $instance}) SET p.token = $token, p.written_at = datetime()
    WITH p MATCH (q:HealthProbe {instance: $instance}) RETURN q.token
"""


@contextmanager
def neo4j_errors() -> Iterator[None]:
    """Translate a store that cannot serve. Raises Unavailable("neo4j"); other errors pass, violated constraints too."""
    try:
        yield
    except (TimeoutError, OSError, ConnectionPoolError, IncompleteCommit, AuthError) as error:
        raise Unavailable(_COMPONENT) from error
    except (Neo4jError, DriverError) as error:
        code = error.code if isinstance(error, Neo4jError) else ""
        if error.is_retryable() or code.startswith(_NOT_SERVING):
            raise Unavailable(_COMPONENT) from error
        raise


class _Overtaken(DriverError):
    """A node that a statement found was deleted while it waited for the lock: run again, it finds none."""

    def is_retryable(self) -> bool:
        return True


def again_when_overtaken(
    work: Callable[[Transaction], Awaitable[Result]],
) -> Callable[[Transaction], Awaitable[Result]]:
    """The same work, which a session's `execute_write` runs again where somebody deleted what it waited for."""

    async def translated(transaction: Transaction) -> Result:
        try:
            return await work(transaction)
        except ClientError as error:
            if error.code == _GONE_MEANWHILE:
                raise _Overtaken(error.message) from error
            raise

    return translated


class _OneStatement:
    """A session whose statement is a transaction of its own."""

    def __init__(self, session: AsyncSession, seconds: float) -> None:
        self._session, self._seconds, self._has_run = session, seconds, False

    async def run(self, query: LiteralString, parameters: dict[str, Any] | None = None, **named: Any) -> AsyncResult:
        """Raises RuntimeError for a second one, which may see what the first did not."""
        if self._has_run:
            raise RuntimeError("a look is one statement")
        self._has_run = True
        return await self._session.run(Query(query, timeout=self._seconds), parameters, **named)


class Graph:
    """The database of this service. Refuses to work until `is_prepared`: without constraints names could be doubled."""

    def __init__(self, driver: AsyncDriver, settings: Settings) -> None:
        self._driver = driver
        self._settings = settings
        self.is_prepared = False
        self._sessions = 0

    def use(self) -> PoolUse:
        """A session has one connection while it works; those without one are not told of."""
        limit = self._settings.neo4j_pool_size
        return PoolUse(min(self._sessions, limit), None, max(0, self._sessions - limit), limit)

    async def read(self, work: Work[Result]) -> Result:
        """The result of `work`, which only reads. Raises Unavailable, and what `work` raises."""
        self._require_prepared()
        with _span_of("READ"):
            async with self.session(self._settings.neo4j_wait_seconds) as session:
                return await session.execute_read(self._limited(work))

    async def look(self, work: Look[Result]) -> Result:
        """The result of `work`, which reads by one statement: one round trip, where `read` takes three.

        Where that fails and may be tried again, `read` it is. Raises Unavailable, and what `work` raises.
        """
        self._require_prepared()
        with _span_of("READ"):
            async with self.session(self._settings.neo4j_wait_seconds, READ_ACCESS) as session:
                try:
                    return await again_when_overtaken(work)(
                        _OneStatement(session, self._settings.neo4j_transaction_seconds)
                    )
                except (Neo4jError, DriverError) as error:
                    if not error.is_retryable():
                        raise
                return await session.execute_read(self._limited(work))

    async def write(self, work: Work[Result]) -> Result:
        """The result of `work`, committed; rolled back when it raises. Raises Unavailable, and what `work` raises.

        Unavailable leaves open whether a commit that was under way took effect.
        """
        self._require_prepared()
        with _span_of("WRITE"):
            async with self.session(self._settings.neo4j_wait_seconds) as session:
                return await session.execute_write(self._limited(work))

    @asynccontextmanager
    async def session(self, seconds: float, access: str = WRITE_ACCESS) -> AsyncIterator[AsyncSession]:
        """A session that ends after `seconds`, or when nobody waits any more, whatever the server does.

        Raises Unavailable.
        """
        with neo4j_errors():
            async with (
                asyncio.timeout(deadlines.remaining(seconds)),
                self._driver.session(
                    database=self._settings.neo4j_database,
                    default_access_mode=access,
                    initial_retry_delay=_FIRST_RETRY_SECONDS,
                    retry_delay_multiplier=_RETRY_FACTOR,
                ) as session,
            ):
                self._sessions += 1
                try:
                    yield session
                finally:
                    self._sessions -= 1

    async def write_and_read_back(self, instance: str) -> None:
        """What an answer does not show: that a write is committed. Raises Finding, Unavailable, driver errors."""
        token = secrets.token_hex(8)

        async def write(transaction: AsyncManagedTransaction) -> object:
            record = await (await transaction.run(_PROBE, instance=instance, token=token)).single()
            return record and record[0]

        require_kept(_COMPONENT, token, await self.write(write))

    def _require_prepared(self) -> None:
        if not self.is_prepared:
            raise Unavailable(_COMPONENT)

    def _limited(self, work: Work[Result]) -> Work[Result]:
        limited: Work[Result] = unit_of_work(timeout=self._settings.neo4j_transaction_seconds)(
            again_when_overtaken(work)
        )
        return limited


def _span_of(operation: str) -> telemetry.Span:
    """One a transaction, with all tries of it."""
    attributes = {conventions.DB_SYSTEM: _COMPONENT, conventions.DB_OPERATION: operation}
    return telemetry.span(f"{operation} {_COMPONENT}", telemetry.SpanKind.CLIENT, attributes)


@asynccontextmanager
async def open_graph(settings: Settings) -> AsyncIterator[Graph]:
    """The graph over one bounded pool. Connecting is lazy: a server that is down keeps no service from starting.

    Raises CannotStart for an address that is none.
    """
    require_address("NEO4J_URL", settings.neo4j_url, *_SCHEMES)
    try:
        driver = _configured(settings)
    except ConfigurationError as error:  # a user in it, or options that the scheme does not have
        raise CannotStart("NEO4J_URL", "has more than bolt://host:port in it") from error
    graph = Graph(driver, settings)
    async with driver:
        with measured_pool(_COMPONENT, graph.use):
            yield graph


def _configured(settings: Settings) -> AsyncDriver:
    return AsyncGraphDatabase.driver(
        settings.neo4j_url,
        auth=(settings.neo4j_user, settings.neo4j_password.get_secret_value()),
        max_connection_pool_size=settings.neo4j_pool_size,
        max_connection_lifetime=_LIFETIME_SECONDS,
        liveness_check_timeout=_IDLE_SECONDS,
        connection_timeout=settings.neo4j_connect_seconds,
        connection_write_timeout=settings.neo4j_transaction_seconds,
        connection_acquisition_timeout=settings.neo4j_pool_wait_seconds,
        max_transaction_retry_time=settings.neo4j_retry_seconds,
        notifications_min_severity="OFF",
        telemetry_disabled=True,
    )
