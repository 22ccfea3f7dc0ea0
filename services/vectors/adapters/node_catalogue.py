"""The catalogue of the node, which all replicas share."""

from services.vectors.adapters.node_connection import NodeConnection
from services.vectors.adapters.node_protocol import CATALOGUE
from services.vectors.domain import Collection, CollectionStatus, EngineName


class NodeCatalogue:
    """Catalogue of the node. Whatever was asked of it may be repeated when the answer was lost on the way."""

    def __init__(self, node: NodeConnection) -> None:
        self._node = node

    async def insert(self, collection: Collection) -> bool:
        """True also when it was inserted by a first attempt whose answer was lost."""
        inserted: bool = await self._node.ask(CATALOGUE, "insert", collection=collection)
        if inserted:
            return True
        listed = await self.find(collection.tenant_id, collection.name)
        return listed is not None and listed.id == collection.id

    async def find(self, tenant_id: str, name: str) -> Collection | None:
        found: Collection | None = await self._node.ask(CATALOGUE, "find", tenant_id=tenant_id, name=name)
        return found

    async def list_page(self, tenant_id: str, *, after: str | None, limit: int) -> list[Collection]:
        found: list[Collection] = await self._node.ask(
            CATALOGUE, "list_page", tenant_id=tenant_id, after=after, limit=limit
        )
        return found

    async def list_ready(self, engine: EngineName, *, after: str | None, limit: int) -> list[Collection]:
        found: list[Collection] = await self._node.ask(CATALOGUE, "list_ready", engine=engine, after=after, limit=limit)
        return found

    async def count(self, tenant_id: str) -> int:
        number: int = await self._node.ask(CATALOGUE, "count", tenant_id=tenant_id)
        return number

    async def set_status(
        self, collection: Collection, status: CollectionStatus, *, was: CollectionStatus | None = None
    ) -> bool:
        """False also when a first attempt whose answer was lost has changed it from what it `was`."""
        changed: bool = await self._node.ask(CATALOGUE, "set_status", collection=collection, status=status, was=was)
        return changed

    async def claim_model(self, collection: Collection, model: str) -> str | None:
        kept: str | None = await self._node.ask(CATALOGUE, "claim_model", collection=collection, model=model)
        return kept

    async def remove(self, collection: Collection) -> None:
        await self._node.ask(CATALOGUE, "remove", collection=collection)

    async def check(self) -> None:
        """The node looks at itself."""
        await self._node.check(CATALOGUE)

    async def aclose(self) -> None:
        """The connection is closed by whoever opened it."""
