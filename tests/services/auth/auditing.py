"""The audit log as tests look at it: in a database, and over the API."""

from typing import Any

import httpx
from sqlalchemy import text

from shared.postgres import Database

AUDIT = "/api/v1/auth/audit"
Headers = dict[str, str]


async def noted(client: httpx.AsyncClient, admin: Headers, **filters: str) -> list[dict[str, Any]]:
    """The newest entries that match, as an administrator reads them."""
    answer = await client.get(AUDIT, params={"limit": "100", **filters}, headers=admin)
    return list(answer.raise_for_status().json()["items"])


async def end_windows(database: Database) -> None:
    """Minutes go by: whatever is repeated from now on is the first of its kind again."""
    async with database.transaction() as session:
        await session.execute(text("UPDATE audit_window SET first_at = first_at - interval '1 hour'"))


async def count_entries(database: Database, action: str) -> int:
    async with database.session() as session:
        counted = text("SELECT count(*) FROM audit_entry WHERE action = :action")
        return await session.scalar(counted, {"action": action}) or 0


async def count_told(database: Database, action: str, target: str | None = None) -> int:
    """How often the log says that it was done: once for each entry, and as often as it was repeated."""
    told = text(
        "SELECT coalesce(sum(coalesce((details->>'repeated')::int, 1)), 0) FROM audit_entry"
        " WHERE action = :action AND (CAST(:target AS text) IS NULL OR target = :target)"
    )
    async with database.session() as session:
        return int(await session.scalar(told, {"action": action, "target": target}) or 0)
