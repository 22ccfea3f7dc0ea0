"""What the tests of locks wait with sees whoever waits, also one that connected after its first look."""

import asyncio
import secrets

from sqlalchemy import text

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from shared.ending import end
from shared.postgres import Database, open_database
from tests.services.auth.waiting import blocked


async def test_who_connects_after_the_first_look_is_seen(suite: Suite) -> None:
    suite.up(["postgres"])
    name = f"waiting_{secrets.token_hex(6)}"
    async with (
        open_database(suite.url("postgres"), name, MIGRATIONS) as database,
        open_database(suite.url("postgres"), name, MIGRATIONS) as late,
    ):
        await late.engine.dispose()  # nothing of its pool is connected
        async with database.session() as holder:
            await holder.execute(text("LOCK TABLE user_account"))
            looking = asyncio.create_task(blocked(database))
            await database_looked(database)
            waiting = asyncio.create_task(read_accounts(late))
            await looking
            await end(waiting)


async def database_looked(database: Database) -> None:
    """Returns when another of its connections has asked who is connected."""
    asked = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE query LIKE '%wait_event_type%' AND pid <> pg_backend_pid() AND datname = current_database()"
    )
    async with database.statements() as session:
        while not await session.scalar(asked):
            pass


async def read_accounts(database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("SELECT FROM user_account"))
