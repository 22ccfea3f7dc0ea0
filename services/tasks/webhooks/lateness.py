"""How late deliveries are that nobody sends."""

from services.tasks.webhooks.waiting import LONGEST_LATE
from shared.postgres import Database


class Deliveries:
    """Those that are due, and could be sent: of a webhook that is enabled, whose receiver does not fail or want to be
    left alone, and of a tenant for which nothing is being sent; else it waits for what is its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def late_seconds(self) -> float:
        """Since the oldest was due; 0 when none is. Raises Unavailable."""
        async with self._database.statements() as session:
            return max(0.0, await session.scalar(LONGEST_LATE) or 0.0)
