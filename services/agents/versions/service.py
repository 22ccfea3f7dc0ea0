"""The use cases around versions: reading the history, comparing, going back."""

from collections.abc import Sequence
from datetime import UTC, datetime

from neo4j import AsyncManagedTransaction

from services.agents.domain import Agent
from services.agents.events import Done
from services.agents.graph import Graph
from services.agents.keys import StoredKey, take_key
from services.agents.outbox import Outbox
from services.agents.repository import AgentRepository
from services.agents.tools.repository import ToolRepository
from services.agents.versions.domain import AgentVersion, Change, VersionEntry, differences
from services.agents.versions.repository import VersionRepository
from shared.door import Once
from shared.identity import Caller, Tells
from shared.resources import CursorCodec, Slice, etag, require_match


class VersionService:
    """What a caller may do with the history of an agent. Every method raises AgentNotFound and Unavailable."""

    def __init__(self, graph: Graph, cursors: CursorCodec, auth: Tells, outbox: Outbox) -> None:
        self._graph, self._cursors, self._auth, self._outbox = graph, cursors, auth, outbox

    async def list_page(self, caller: Caller, agent_id: str, limit: int, cursor: str | None) -> Slice[VersionEntry]:
        """Newest first. Raises Invalid for a cursor of another list."""

        async def rows(before: int | None, most: int) -> Sequence[VersionEntry]:
            async def work(transaction: AsyncManagedTransaction) -> list[VersionEntry]:
                await AgentRepository(transaction, caller.tenant_id).require(agent_id)
                versions = VersionRepository(transaction, caller.tenant_id)
                return await versions.list_newest(agent_id, before=before, limit=most)

            return await self._graph.read(work)

        return await self._cursors.slice(
            rows,
            key=lambda entry: entry.version,
            scope=["agents.versions", caller.tenant_id, agent_id],
            limit=limit,
            cursor=cursor,
        )

    async def get(self, caller: Caller, agent_id: str, version: int) -> AgentVersion:
        """Raises VersionNotFound."""
        [found] = await self._read(caller, agent_id, version)
        return found

    async def diff(self, caller: Caller, agent_id: str, version: int, against: int) -> list[Change]:
        """What changed from `against` to `version`. Raises VersionNotFound."""
        after, before = await self._read(caller, agent_id, version, against)
        return differences(before, after)

    async def _read(self, caller: Caller, agent_id: str, *numbers: int) -> list[AgentVersion]:
        async def work(transaction: AsyncManagedTransaction) -> list[AgentVersion]:
            await AgentRepository(transaction, caller.tenant_id).require(agent_id)
            versions = VersionRepository(transaction, caller.tenant_id)
            return [await versions.get(agent_id, number) for number in numbers]

        return await self._graph.read(work)

    async def restore(
        self, caller: Caller, agent_id: str, version: int, if_match: str | None, once: Once | None = None
    ) -> Agent:
        """A new version with the content of an earlier one, or the same when nothing is different.

        For a repetition of `once` the agent as it is now. Raises VersionNotFound, PreconditionFailed, AgentNameTaken
        where another has the name meanwhile, ToolUnknown where a tool that it named is no more, IdempotencyKeyReused.
        """
        is_changed = False

        async def work(transaction: AsyncManagedTransaction) -> Agent:
            nonlocal is_changed
            is_changed = False
            agents = AgentRepository(transaction, caller.tenant_id)
            if once and (
                made := await take_key(transaction, caller.tenant_id, once.digest, StoredKey(once.of, agent_id))
            ):
                once.found(made.of)
                return await agents.get(made.agent_id)
            current = await agents.get_locked(agent_id)
            require_match(if_match, etag(current.version))
            former = await VersionRepository(transaction, caller.tenant_id).get(agent_id, version)
            restored = current.revised(former.content, datetime.now(UTC))
            is_changed = restored is not current
            if is_changed:
                tools = ToolRepository(transaction, caller.tenant_id)
                await tools.require(restored.tools, but=current.tools, pointer="path/version")
                await agents.save(restored, caller.subject)
            return restored

        restored = await self._graph.write(work)
        if is_changed:
            self._outbox.notify()
            self._auth.tell(caller, Done.RESTORED, agent_id)
        return restored
