"""The catalogue of the node, which all replicas share."""

from collections.abc import Sequence
from datetime import datetime

from services.vectors.adapters.node_protocol import CATALOGUE
from services.vectors.adapters.node_stores import NodeStores
from services.vectors.copies.domain import Advance, Change, Copy, CopyRefused, Noted
from services.vectors.domain import Alias, AliasRefused, Collection, CollectionStatus, EngineName
from services.vectors.terms import Condition


class NodeCatalogue(NodeStores):
    """Catalogue of the node. Whatever was asked of it may be repeated when the answer was lost on the way."""

    async def insert(self, collection: Collection, most: int = 0) -> bool:
        """True also when it was inserted by a first attempt whose answer was lost."""
        inserted: bool = await self._node.ask(CATALOGUE, "insert", collection=collection, most=most)
        if inserted:
            return True
        listed = await self.find(collection.tenant_id, collection.name)
        return listed is not None and listed.id == collection.id

    async def find(self, tenant_id: str, name: str) -> Collection | None:
        found: Collection | None = await self._node.ask(CATALOGUE, "find", tenant_id=tenant_id, name=name)
        return found

    async def resolve(self, tenant_id: str, name: str) -> Collection | None:
        found: Collection | None = await self._node.ask(CATALOGUE, "resolve", tenant_id=tenant_id, name=name)
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

    async def retire(self, collection: Collection) -> str | None:
        alias: str | None = await self._node.ask(CATALOGUE, "retire", collection=collection)
        return alias

    async def remove(self, collection: Collection) -> None:
        await self._node.ask(CATALOGUE, "remove", collection=collection)

    async def find_alias(self, tenant_id: str, name: str) -> Alias | None:
        found: Alias | None = await self._node.ask(CATALOGUE, "find_alias", tenant_id=tenant_id, name=name)
        return found

    async def list_aliases(self, tenant_id: str, *, after: str | None, limit: int) -> list[Alias]:
        found: list[Alias] = await self._node.ask(
            CATALOGUE, "list_aliases", tenant_id=tenant_id, after=after, limit=limit
        )
        return found

    async def point_alias(
        self, name: str, collection: Collection, *, version: str, at: datetime, was: str | None, most: int
    ) -> Alias | AliasRefused:
        pointed: Alias | AliasRefused = await self._node.ask(
            CATALOGUE, "point_alias", name=name, collection=collection, version=version, at=at, was=was, most=most
        )
        return pointed

    async def remove_alias(self, tenant_id: str, name: str, *, was: str) -> bool:
        """True also when a first attempt whose answer was lost has removed it."""
        removed: bool = await self._node.ask(CATALOGUE, "remove_alias", tenant_id=tenant_id, name=name, was=was)
        return removed or await self.find_alias(tenant_id, name) is None

    async def begin_copy(self, collection: Collection, copy: Copy) -> Copy | CopyRefused:
        begun: Copy | CopyRefused = await self._node.ask(CATALOGUE, "begin_copy", collection=collection, copy=copy)
        return begun

    async def find_copy(self, collection: Collection) -> Copy | None:
        copy: Copy | None = await self._node.ask(CATALOGUE, "find_copy", collection=collection)
        return copy

    async def take_turn(self, collection: Collection, turn: str, seconds: float) -> Copy | None:
        copy: Copy | None = await self._node.ask(
            CATALOGUE, "take_turn", collection=collection, turn=turn, seconds=seconds
        )
        return copy

    async def list_changes(self, collection: Collection, limit: int) -> list[Change]:
        found: list[Change] = await self._node.ask(CATALOGUE, "list_changes", collection=collection, limit=limit)
        return found

    async def advance_copy(self, collection: Collection, turn: str, step: Advance) -> bool:
        """False also when a first attempt whose answer was lost has kept it."""
        kept: bool = await self._node.ask(CATALOGUE, "advance_copy", collection=collection, turn=turn, step=step)
        return kept

    async def close_copy(self, collection: Collection, turn: str) -> list[Change] | None:
        found: list[Change] | None = await self._node.ask(CATALOGUE, "close_copy", collection=collection, turn=turn)
        return found

    async def end_copy(
        self,
        collection: Collection,
        name: str | None,
        *,
        turn: str,
        settled: Sequence[int],
        count: int,
        version: str,
        at: datetime,
    ) -> CopyRefused | None:
        refused: CopyRefused | None = await self._node.ask(
            CATALOGUE,
            "end_copy",
            collection=collection,
            name=name,
            turn=turn,
            settled=settled,
            count=count,
            version=version,
            at=at,
        )
        return refused

    async def note_change(
        self,
        collection: Collection,
        ids: Sequence[str],
        condition: Condition | None,
        *,
        number: int,
        alias: str | None,
        insists: bool,
    ) -> Noted:
        noted: Noted = await self._node.ask(
            CATALOGUE,
            "note_change",
            collection=collection,
            ids=ids,
            condition=condition,
            number=number,
            alias=alias,
            insists=insists,
        )
        return noted

    async def check(self) -> None:
        """The node looks at itself."""
        await self._node.check(CATALOGUE)

    async def aclose(self) -> None:
        """The connection is closed by whoever opened it."""
