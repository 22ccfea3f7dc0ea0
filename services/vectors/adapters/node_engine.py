"""An engine that lives in the process of the node: each method is the same method there."""

from collections.abc import Sequence
from dataclasses import replace

from services.vectors.adapters.node_connection import NodeConnection
from services.vectors.domain import Capabilities, Collection, EngineName, Match, MetadataChanges, Record, Vector
from services.vectors.terms import Condition


class NodeEngine:
    """VectorEngine `name` of the node. What was asked of it may be repeated when the answer was lost on the way.

    A deletion by condition is not, as meanwhile there may be others that meet it; nor an insertion, which would find
    what it stored itself.
    """

    at_once = 4

    def __init__(self, name: EngineName, node: NodeConnection, can: Capabilities) -> None:
        """`can`: what the engine there can do."""
        self.name = name
        self._node = node
        self._can = replace(can, backend=f"{can.backend.partition(',')[0]}, on a node of its own")

    async def create_collection(self, collection: Collection) -> None:
        await self._node.ask(self.name, "create_collection", collection=collection)

    async def drop_collection(self, collection: Collection) -> None:
        await self._node.ask(self.name, "drop_collection", collection=collection)

    async def holds(self, collection: Collection) -> bool:
        held: bool = await self._node.ask(self.name, "holds", collection=collection)
        return held

    async def upsert(self, collection: Collection, records: Sequence[Record]) -> None:
        await self._node.ask(self.name, "upsert", collection=collection, records=records)

    async def insert(self, collection: Collection, records: Sequence[Record]) -> list[str]:
        inserted: list[str] = await self._node.ask(
            self.name, "insert", repeatable=False, collection=collection, records=records
        )
        return inserted

    async def search(
        self, collection: Collection, vector: Vector, limit: int, condition: Condition | None, *, exact: bool = False
    ) -> list[Match]:
        found: list[Match] = await self._node.ask(
            self.name, "search", collection=collection, vector=vector, limit=limit, condition=condition, exact=exact
        )
        return found

    async def search_words(
        self, collection: Collection, tokens: Sequence[int], limit: int, condition: Condition | None
    ) -> list[Match]:
        found: list[Match] = await self._node.ask(
            self.name, "search_words", collection=collection, tokens=tokens, limit=limit, condition=condition
        )
        return found

    async def find(self, collection: Collection, record_id: str) -> Record | None:
        found: Record | None = await self._node.ask(self.name, "find", collection=collection, record_id=record_id)
        return found

    async def page(
        self,
        collection: Collection,
        after: str | None,
        limit: int,
        condition: Condition | None,
        *,
        with_vectors: bool,
    ) -> list[Record]:
        found: list[Record] = await self._node.ask(
            self.name,
            "page",
            collection=collection,
            after=after,
            limit=limit,
            condition=condition,
            with_vectors=with_vectors,
        )
        return found

    async def merge_metadata(self, collection: Collection, record_id: str, changes: MetadataChanges) -> Record | None:
        merged: Record | None = await self._node.ask(
            self.name, "merge_metadata", collection=collection, record_id=record_id, changes=changes
        )
        return merged

    async def delete(self, collection: Collection, ids: Sequence[str]) -> int:
        """Repeated when its answer was lost, it counts those that were still there."""
        deleted: int = await self._node.ask(self.name, "delete", collection=collection, ids=ids)
        return deleted

    async def delete_matching(self, collection: Collection, condition: Condition) -> int:
        deleted: int = await self._node.ask(
            self.name, "delete_matching", repeatable=False, collection=collection, condition=condition
        )
        return deleted

    async def count(self, collection: Collection, condition: Condition | None = None) -> int:
        number: int = await self._node.ask(self.name, "count", collection=collection, condition=condition)
        return number

    def capabilities(self) -> Capabilities:
        return self._can

    async def check(self) -> None:
        """The node looks at itself."""
        await self._node.check(self.name.component)

    async def aclose(self) -> None:
        """The connection is closed by whoever opened it."""
