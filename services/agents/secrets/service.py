"""The use cases around secrets: writing, listing and deleting them. Nobody reads one back."""

from collections.abc import Sequence
from datetime import UTC, datetime

from neo4j import AsyncManagedTransaction

from services.agents.errors import SecretInUse, SecretNotFound, TooManySecrets
from services.agents.events import Done
from services.agents.graph import Graph
from services.agents.secrets.domain import MOST_SECRETS, Secret
from services.agents.secrets.repository import SecretRepository
from services.agents.secrets.schemas import SecretPut
from services.agents.tools.repository import ToolRepository
from shared.identity import Caller, Tells
from shared.resources import CursorCodec, Slice
from shared.sealing import Seal


class SecretService:
    """What a caller may do with the secrets of their tenant. Every method raises Unavailable."""

    def __init__(self, graph: Graph, cursors: CursorCodec, auth: Tells, seal: Seal) -> None:
        self._graph, self._cursors, self._auth, self._seal = graph, cursors, auth, seal

    async def put(self, caller: Caller, name: str, body: SecretPut) -> bool:
        """Keep the value, in place of the one that was there. Whether it is new. Raises TooManySecrets."""
        sealed = self._seal.close(caller.tenant_id, name, body.value.get_secret_value())

        async def work(transaction: AsyncManagedTransaction) -> bool:
            secrets = SecretRepository(transaction, caller.tenant_id)
            await secrets.take_turn()
            is_new = not await secrets.sealed([name])
            if is_new and await secrets.count() >= MOST_SECRETS:
                raise TooManySecrets
            await secrets.put(name, sealed, body.hosts, datetime.now(UTC))
            return is_new

        is_new = await self._graph.write(work)
        self._auth.tell(caller, Done.SECRET_CREATED if is_new else Done.SECRET_UPDATED, name)
        return is_new

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Slice[Secret]:
        """By name. Raises Invalid for a cursor of another list."""

        async def rows(after: str | None, most: int) -> Sequence[Secret]:
            async def work(transaction: AsyncManagedTransaction) -> list[Secret]:
                secrets = SecretRepository(transaction, caller.tenant_id)
                return await secrets.list_by_name(after=after or "", limit=most)

            return await self._graph.read(work)

        return await self._cursors.slice(
            rows,
            key=lambda secret: secret.name,
            scope=["agents.secrets", caller.tenant_id],
            limit=limit,
            cursor=cursor,
        )

    async def delete(self, caller: Caller, name: str) -> None:
        """Raises SecretNotFound, SecretInUse where a tool names it."""

        async def work(transaction: AsyncManagedTransaction) -> None:
            secrets = SecretRepository(transaction, caller.tenant_id)
            await secrets.take_turn()
            if not await secrets.sealed([name]):
                raise SecretNotFound
            if tools := await ToolRepository(transaction, caller.tenant_id).naming_secret(name):
                raise SecretInUse(tools)
            await secrets.delete(name)

        await self._graph.write(work)
        self._auth.tell(caller, Done.SECRET_DELETED, name)
