"""Statements about versions; they are written with the agent (`services.agents.repository`)."""

from collections.abc import Mapping
from typing import Any, LiteralString

from services.agents.errors import VersionNotFound
from services.agents.repository import content_of
from services.agents.tenancy import TenantRepository
from services.agents.versions.domain import AgentVersion, VersionEntry

_BEFORE_ALL = 2**53
_ONE: LiteralString = """
    MATCH (v:AgentVersion {tenant_id: $tenant_id, agent_id: $id, version: $version})
    RETURN properties(v) AS version
"""
# Ordered as the index is, which gives them sorted and stops at the limit.
_PAGE: LiteralString = """
    MATCH (v:AgentVersion) USING INDEX v:AgentVersion(tenant_id, agent_id, version)
    WHERE v.tenant_id = $tenant_id AND v.agent_id = $id AND v.version < $before
    RETURN v.version AS version, v.name AS name, v.created_at AS created_at, v.created_by AS created_by
    ORDER BY v.tenant_id DESC, v.agent_id DESC, v.version DESC LIMIT $limit
"""


class VersionRepository(TenantRepository):
    """The versions of a tenant's agents."""

    async def get(self, agent_id: str, version: int) -> AgentVersion:
        """Raises VersionNotFound."""
        rows = await self._run(_ONE, id=agent_id, version=version)
        if not rows:
            raise VersionNotFound(version)
        return _version(rows[0]["version"])

    async def list_newest(self, agent_id: str, *, before: int | None, limit: int) -> list[VersionEntry]:
        """Up to `limit` versions older than `before`, newest first."""
        rows = await self._run(_PAGE, id=agent_id, before=_BEFORE_ALL if before is None else before, limit=limit)
        return [
            VersionEntry(
                version=row["version"],
                name=row["name"],
                created_at=row["created_at"].to_native(),
                created_by=row["created_by"],
            )
            for row in rows
        ]


def _version(properties: Mapping[str, Any]) -> AgentVersion:
    return AgentVersion(
        agent_id=properties["agent_id"],
        version=properties["version"],
        created_at=properties["created_at"].to_native(),
        created_by=properties.get("created_by"),
        **content_of(properties),
    )
