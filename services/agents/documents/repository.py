"""The statements that only whole documents need."""

from collections.abc import Iterable
from typing import LiteralString

from services.agents.domain import name_key
from services.agents.tenancy import TenantRepository

_IDS: LiteralString = """
    MATCH (a:Agent) WHERE a.tenant_id = $tenant_id AND a.name_key IN $keys
    RETURN a.name_key AS key, a.id AS id
"""


class NameRepository(TenantRepository):
    """A tenant's agents by name."""

    async def ids_of(self, names: Iterable[str]) -> dict[str, str]:
        """The ids of those that are there, by the key of the name."""
        rows = await self._run(_IDS, keys=sorted({name_key(name) for name in names}))
        return {row["key"]: row["id"] for row in rows}
