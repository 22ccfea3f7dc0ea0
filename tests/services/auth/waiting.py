"""Waits for what two transactions do to each other."""

import asyncio

from sqlalchemy import text

from shared.postgres import Database


async def blocked(database: Database) -> None:
    """Returns when some statement of this database waits for another transaction."""
    waiting = text("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
    async with asyncio.timeout(10), database.session() as session:
        while await session.scalar(waiting) is None:
            pass  # each look is a round trip
