"""When a key was last used, to the minute, for one statement a minute however many requests come."""

from datetime import UTC, datetime

from services.auth.entry.api_keys.repository import ApiKeyRepository
from shared.postgres import Database


class LastUsed:
    """Collects; what a crash loses is a minute of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._used: dict[str, datetime] = {}

    def note(self, key_id: str) -> None:
        self._used[key_id] = datetime.now(UTC)

    async def write(self) -> None:
        """Write what was collected. Raises Unavailable; whatever breaks it off, it is kept for the next time."""
        if not self._used:
            return
        used, self._used = self._used, {}
        try:
            async with self._database.transaction() as session:
                await ApiKeyRepository(session).mark_used(used)
        except BaseException:  # also where whoever writes is told to stop
            self._used = used | self._used
            raise
