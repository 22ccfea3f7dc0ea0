"""Waits for what two transactions do to each other."""

import asyncio

from sqlalchemy import text

from shared.postgres import Database
from tests.fixtures.patience import PATIENCE_SECONDS


async def blocked(database: Database, statements: int = 1) -> None:
    """Returns when so many statements of this database wait for other transactions."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    # Each look is a transaction of its own: within one, PostgreSQL lists only whom the first look found connected.
    async with asyncio.timeout(PATIENCE_SECONDS), database.statements() as session:
        while await session.scalar(waiting) < statements:
            pass  # each look is a round trip
