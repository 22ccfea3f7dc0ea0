"""Every statement about secrets; each names the tenant.

    (:ToolSecret {tenant_id, name, sealed, hosts, created_at, updated_at})

Whoever makes, changes or deletes a secret or a tool of a tenant takes the turn at the tenant's shelf first: so what is
counted stays so, and no secret goes away under a tool that is just being defined with it.

    (:ToolShelf {tenant_id})
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import LiteralString

from neo4j import Record

from services.agents.secrets.domain import Sealed, Secret
from services.agents.tenancy import TenantRepository

TAKE_TURN: LiteralString = "MERGE (s:ToolShelf {tenant_id: $tenant_id}) SET s.is_locked = true REMOVE s.is_locked"
_PUT: LiteralString = """
    MERGE (s:ToolSecret {tenant_id: $tenant_id, name: $name})
    ON CREATE SET s.created_at = $now
    SET s.sealed = $sealed, s.hosts = $hosts, s.updated_at = $now
"""
_PAGE: LiteralString = """
    MATCH (s:ToolSecret) WHERE s.tenant_id = $tenant_id AND s.name > $after
    RETURN s.name AS name, s.hosts AS hosts, s.created_at AS created_at, s.updated_at AS updated_at
    ORDER BY s.tenant_id, s.name LIMIT $limit
"""
_SEALED: LiteralString = """
    MATCH (s:ToolSecret) WHERE s.tenant_id = $tenant_id AND s.name IN $names
    RETURN s.name AS name, s.sealed AS sealed, s.hosts AS hosts
"""
_DELETE: LiteralString = "MATCH (s:ToolSecret {tenant_id: $tenant_id, name: $name}) DELETE s"
_COUNT: LiteralString = "MATCH (s:ToolSecret {tenant_id: $tenant_id}) RETURN count(s) AS secrets"


class SecretRepository(TenantRepository):
    """The secrets of one tenant, sealed."""

    async def take_turn(self) -> None:
        """Nobody else changes the tenant's secrets and tools until the transaction ends."""
        await self._run(TAKE_TURN)

    async def count(self) -> int:
        """How many there are."""
        return int((await self._run(_COUNT))[0]["secrets"])

    async def put(self, name: str, sealed: str, hosts: Sequence[str], now: datetime) -> None:
        """Keep it, in place of what was there."""
        await self._run(_PUT, name=name, sealed=sealed, hosts=list(hosts), now=now)

    async def list_by_name(self, *, after: str, limit: int) -> list[Secret]:
        """Up to `limit` that follow the name."""
        return [_secret(row) for row in await self._run(_PAGE, after=after, limit=limit)]

    async def sealed(self, names: Iterable[str]) -> dict[str, Sealed]:
        """Those of them that are there, as they were sealed."""
        rows = await self._run(_SEALED, names=sorted(names))
        return {row["name"]: Sealed(row["sealed"], _hosts(row)) for row in rows}

    async def delete(self, name: str) -> None:
        """Delete it, if it is there."""
        await self._run(_DELETE, name=name)


def _secret(row: Record) -> Secret:
    return Secret(
        name=row["name"],
        hosts=_hosts(row),
        created_at=row["created_at"].to_native(),
        updated_at=row["updated_at"].to_native(),
    )


def _hosts(row: Record) -> tuple[str, ...] | None:
    return None if row["hosts"] is None else tuple(row["hosts"])
