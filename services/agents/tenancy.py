"""What every repository is: statements over one transaction, each given the tenant."""

from typing import Any, LiteralString

from neo4j import Record

from services.agents.graph import Statements


class TenantRepository:
    """Something of one tenant, as one transaction sees it; never commits."""

    def __init__(self, transaction: Statements, tenant_id: str) -> None:
        self._transaction = transaction
        self._tenant_id = tenant_id

    async def _run(self, statement: LiteralString, **parameters: Any) -> list[Record]:
        """Its rows. `$tenant_id` is there for every statement, and every one has to name it."""
        result = await self._transaction.run(statement, parameters, tenant_id=self._tenant_id)
        return [record async for record in result]
