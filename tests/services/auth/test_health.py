"""auth's readiness notices what a ping does not: a PostgreSQL that takes no writes, messages that nobody publishes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from services.auth.models import OutboxRow
from shared.postgres import open_database
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.readiness import until_check


@asynccontextmanager
async def superuser(suite: Suite) -> AsyncIterator[asyncpg.Connection]:
    dsn = suite.url("postgres").replace("postgresql+asyncpg", "postgresql") + "postgres"
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def read_only(suite: Suite) -> AsyncIterator[None]:
    """Everybody may read and nobody write."""
    async with superuser(suite) as postgres:
        await postgres.execute("SET default_transaction_read_only = off")
        await postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await postgres.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            await postgres.execute("ALTER SYSTEM RESET default_transaction_read_only")
            await postgres.execute("SELECT pg_reload_conf()")


async def test_a_postgres_that_only_reads_is_told_and_back_by_itself(
    service_client: ServiceClient, auth: httpx.AsyncClient, suite: Suite, user: User
) -> None:
    login = {"grant_type": "password", "username": user.email, "password": user.password}
    async with service_client("auth") as client:
        await until_check(client, "postgres", "pass")

        async with read_only(suite):
            told = await until_check(client, "postgres", "fail")
            assert (told["code"], told["detail"].split(": ")[0]) == (503, "postgres refuses writes")
            assert "`make up`" in told["detail"]
            async with superuser(suite) as postgres:
                assert await postgres.fetchval("SELECT 1") == 1
            assert (await client.get("/api/v1/auth/me", headers=user.headers)).status_code == 200
            refused = await until_answered(client, login, 503)
            assert refused.json()["code"] == "common.unavailable"
            assert (await client.get("/health/live")).status_code == 200

        await until_check(client, "postgres", "pass")
        await until_answered(client, login, 200)


async def until_answered(client: httpx.AsyncClient, login: dict[str, str], status: int) -> httpx.Response:
    """The answer to a login, once it is this: each process of PostgreSQL hears of other settings by itself."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (answer := await client.post("/api/v1/auth/token", data=login)).status_code != status:
            pass
    return answer


async def test_an_event_that_nobody_can_publish_is_told(
    service_client: ServiceClient, auth: httpx.AsyncClient, suite: Suite
) -> None:
    settings = suite.environment("auth")
    waiting = OutboxRow(
        id=new_id(),
        exchange=f"nowhere-{new_id()}",  # which no broker has
        routing_key="x",
        body=b"{}",
        headers={},
        created_at=datetime.now(UTC) - timedelta(minutes=5),
    )
    async with (
        open_database(settings["DATABASE_URL"], "auth", MIGRATIONS) as database,
        service_client("auth") as client,
    ):
        await until_check(client, "outbox", "pass")
        async with database.transaction() as session:
            session.add(waiting)
        try:
            told = await until_check(client, "outbox", "warn", code=200)
        finally:
            async with database.transaction() as session:
                await session.delete(waiting)

        assert told["code"] == 200
        assert told["detail"].startswith("the oldest message has waited 3")
        assert "look at rabbitmq" in told["detail"]
        await until_check(client, "outbox", "pass")
