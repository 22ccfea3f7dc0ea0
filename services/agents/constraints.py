"""Constraints and indexes, applied at start; safe when replicas start at once and when Neo4j comes up after us.

A migration is a list of steps that may run twice: statements, and coroutine functions over a session that change what
is there. Add a new one at the end; never change one that was released.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from neo4j import AsyncManagedTransaction, AsyncSession
from neo4j.exceptions import ClientError, DriverError, Neo4jError

from services.agents.graph import Graph
from services.agents.links import KINDS
from services.agents.upkeep import link_all, place_all
from shared.ending import end
from shared.errors import Unavailable

_log = logging.getLogger("agents.constraints")
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.25, 3.0
# Two replicas can both find a rule missing; the second to make it is told so.
_MADE_BY_ANOTHER = ("AlreadyExists", "EquivalentSchemaRuleAlreadyExists")

TEXT_INDEX = "agent_search"
Step = str | Callable[[AsyncSession], Awaitable[None]]
MIGRATIONS: tuple[tuple[Step, ...], ...] = (
    (
        "CREATE CONSTRAINT schema_version IF NOT EXISTS FOR (s:SchemaVersion) REQUIRE s.service IS UNIQUE",
        "CREATE CONSTRAINT agent_id IF NOT EXISTS FOR (a:Agent) REQUIRE a.id IS UNIQUE",
        "CREATE CONSTRAINT agent_name IF NOT EXISTS FOR (a:Agent) REQUIRE (a.tenant_id, a.name_key) IS UNIQUE",
        "CREATE CONSTRAINT capability_name IF NOT EXISTS FOR (c:Capability) REQUIRE (c.tenant_id, c.name) IS UNIQUE",
        # Lists page in this order, so the index gives them sorted and stops at the limit.
        "CREATE INDEX agent_newest IF NOT EXISTS FOR (a:Agent) ON (a.tenant_id, a.created_at, a.id)",
        # The tenant is part of the text, so that a search does not collect what other tenants wrote.
        "CREATE FULLTEXT INDEX agent_text IF NOT EXISTS FOR (a:Agent) ON EACH [a.tenant_id, a.name, a.description]",
    ),
    (
        "CREATE CONSTRAINT idempotency_key IF NOT EXISTS FOR (k:IdempotencyKey) REQUIRE k.digest IS UNIQUE",
        "CREATE INDEX idempotency_key_oldest IF NOT EXISTS FOR (k:IdempotencyKey) ON (k.created_at)",
    ),
    ("CREATE CONSTRAINT health_probe IF NOT EXISTS FOR (p:HealthProbe) REQUIRE p.instance IS UNIQUE",),
    # The history of an agent is read by its numbers, newest first, however long it is.
    ("CREATE INDEX agent_version IF NOT EXISTS FOR (v:AgentVersion) ON (v.tenant_id, v.agent_id, v.version)",),
    (
        *(
            f"CREATE CONSTRAINT {kind.label.lower()}_name IF NOT EXISTS "
            f"FOR (n:{kind.label}) REQUIRE (n.tenant_id, n.name) IS UNIQUE"
            for kind in KINDS
        ),
        # The agents of a name, as lists page.
        *(
            f"CREATE INDEX {kind.link.lower()}_newest IF NOT EXISTS "
            f"FOR ()-[r:{kind.link}]-() ON (r.tenant_id, r.name, r.created_at, r.agent_id)"
            for kind in KINDS
        ),
        link_all,
    ),
    (
        "CREATE CONSTRAINT outbox_event IF NOT EXISTS FOR (e:OutboxEvent) REQUIRE e.id IS UNIQUE",
        "CREATE CONSTRAINT outbox_lease IF NOT EXISTS FOR (l:OutboxLease) REQUIRE l.service IS UNIQUE",
    ),
    (
        "CREATE CONSTRAINT tool_definition_name IF NOT EXISTS "
        "FOR (t:ToolDefinition) REQUIRE (t.tenant_id, t.name) IS UNIQUE",
        "CREATE CONSTRAINT tool_secret_name IF NOT EXISTS FOR (s:ToolSecret) REQUIRE (s.tenant_id, s.name) IS UNIQUE",
        "CREATE CONSTRAINT tool_shelf IF NOT EXISTS FOR (s:ToolShelf) REQUIRE s.tenant_id IS UNIQUE",
    ),
    (
        place_all,
        # Replicas of the release before still ask `agent_text`: a later one drops it.
        f"CREATE FULLTEXT INDEX {TEXT_INDEX} IF NOT EXISTS FOR (a:Agent) "
        "ON EACH [a.tenant_word, a.place, a.name, a.description, a.capabilities, a.knowledge, a.tools]",
    ),
)


async def migrate(graph: Graph, seconds: float) -> None:
    """Bring the database to the newest version, within `seconds`. Raises Unavailable; driver errors for bad data."""
    async with graph.session(seconds) as session:
        applied = await session.execute_read(_version)
        for number, steps in enumerate(MIGRATIONS[applied:], start=applied + 1):
            for step in steps:
                await (_define(session, step) if isinstance(step, str) else step(session))
            await session.execute_write(_record_version, number)
        await session.execute_read(_await_indexes, int(seconds))
    graph.is_prepared = True


async def _version(transaction: AsyncManagedTransaction) -> int:
    result = await transaction.run("MATCH (s:SchemaVersion {service: 'agents'}) RETURN s.number")
    record = await result.single()
    return int(record[0]) if record else 0


async def _record_version(transaction: AsyncManagedTransaction, number: int) -> None:
    # A slower replica must not take back what a faster one recorded.
    statement = """
        MERGE (s:SchemaVersion {service: 'agents'})
        SET s.number = CASE WHEN s.number > $number THEN s.number ELSE $number END
    """
    await (await transaction.run(statement, number=number)).consume()


async def _define(session: AsyncSession, statement: str) -> None:
    async def define(transaction: AsyncManagedTransaction) -> None:
        await (await transaction.run(statement)).consume()

    try:
        await session.execute_write(define)
    except ClientError as error:
        if not (error.code or "").endswith(_MADE_BY_ANOTHER):
            raise


async def _await_indexes(transaction: AsyncManagedTransaction, seconds: int) -> None:
    await (await transaction.run("CALL db.awaitIndexes($seconds)", seconds=seconds)).consume()


@asynccontextmanager
async def applied_schema(graph: Graph, seconds: float) -> AsyncIterator[None]:
    """Apply it now where Neo4j answers; where not, go on trying beside the block while the service is unready.

    Raises the driver's error when the database answers and refuses the schema: that does not heal by waiting.
    """
    waiting: asyncio.Task[None] | None = None
    try:
        await migrate(graph, seconds)
    except Unavailable as error:
        _log.warning("schema waits for the store", extra={"fields": {"cause": repr(error.__cause__)}})
        waiting = asyncio.create_task(_migrate_when_up(graph, seconds))
    try:
        yield
    finally:
        if waiting:
            await end(waiting)


async def _migrate_when_up(graph: Graph, seconds: float) -> None:
    delay = _FIRST_DELAY_SECONDS
    while not graph.is_prepared:
        await asyncio.sleep(delay)
        delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
        try:
            await migrate(graph, seconds)
        except Unavailable as error:
            _log.info("store still away", extra={"fields": {"cause": repr(error.__cause__)}})
        except (Neo4jError, DriverError):
            _log.exception("the store refuses the schema")
    _log.info("schema applied after waiting for the store")
