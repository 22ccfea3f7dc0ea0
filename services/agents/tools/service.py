"""The use cases around tools: defining, reading and deleting them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from neo4j import AsyncManagedTransaction

from services.agents.errors import (
    SecretElsewhere,
    SecretUnencrypted,
    SecretUnknown,
    ToolInUse,
    ToolNotFound,
    TooManyTools,
    escaped,
)
from services.agents.events import Done
from services.agents.graph import Graph
from services.agents.secrets.hosts import host_of
from services.agents.secrets.repository import SecretRepository
from services.agents.tools.domain import BUILT_IN, MOST_TOOLS, BuiltIn, Put, Tool, ToolContent, has, names_of
from services.agents.tools.repository import ToolRepository, meaning_of
from services.agents.tools.schemas import HttpToolPut, McpToolPut
from shared.errors import PreconditionFailed
from shared.identity import Caller, Tells
from shared.outbound import Allowed
from shared.resources import CursorCodec, Slice, etag, require_match
from shared.schemas import new_id


class ToolService:
    """What a caller may do with the tools of their tenant. Every method raises Unavailable."""

    def __init__(self, graph: Graph, cursors: CursorCodec, auth: Tells, allowed: Allowed) -> None:
        self._graph, self._cursors, self._auth, self._allowed = graph, cursors, auth, allowed

    async def put(self, caller: Caller, name: str, body: HttpToolPut | McpToolPut, if_match: str | None) -> Put:
        """The tool as the body says it, defined where there is none.

        Raises SecretUnknown, SecretElsewhere, SecretUnencrypted, TooManyTools, PreconditionFailed; ToolInUse where an
        agent names a tool of the server that it would not have any more.
        """
        [put] = (await self._put(caller, {name: body.content}, if_match, is_many=False)).values()
        return put

    async def put_all(self, caller: Caller, contents: Mapping[str, ToolContent]) -> dict[str, Put]:
        """Each tool by its name, as `put` has one: all of them, or none.

        What is wrong with the secrets of one is told at `/operations/<its name>`.
        """
        return await self._put(caller, contents, None, is_many=True)

    async def _put(
        self, caller: Caller, contents: Mapping[str, ToolContent], if_match: str | None, *, is_many: bool
    ) -> dict[str, Put]:
        async def work(transaction: AsyncManagedTransaction) -> tuple[dict[str, Put], set[str]]:
            tools = ToolRepository(transaction, caller.tenant_id)
            secrets = SecretRepository(transaction, caller.tenant_id)
            await secrets.take_turn()
            await tools.lock(contents)
            present = await tools.named(contents)
            puts, changed = dict[str, Put](), set[str]()
            for name, content in contents.items():
                _require_version(if_match, before := present.get(name))
                place = f"/operations/{escaped(name)}" if is_many else None
                await _require_secrets(secrets, content, place, self._allowed)
                if before and meaning_of(before.content) == meaning_of(content):
                    puts[name] = Put(before, is_new=False)
                    continue
                tool = _next(name, content, before)
                await _require_room(tools, tool, before)
                await tools.put(tool)
                puts[name] = Put(tool, is_new=before is None)
                changed.add(name)
            return puts, changed

        puts, changed = await self._graph.write(work)
        for name in sorted(changed):
            put = puts[name]
            self._auth.tell(caller, Done.TOOL_CREATED if put.is_new else Done.TOOL_UPDATED, name, once=put.tool.version)
        return puts

    async def get(self, caller: Caller, name: str) -> Tool | BuiltIn:
        """Raises ToolNotFound."""
        if name in BUILT_IN:
            return BuiltIn(name)

        return await self._graph.look(lambda one: _get(ToolRepository(one, caller.tenant_id), name))

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Slice[Tool | BuiltIn]:
        """By name, those that are built in among them. Raises Invalid for a cursor of another list."""

        async def rows(after: str | None, most: int) -> Sequence[Tool | BuiltIn]:
            tools = await self._graph.look(
                lambda one: ToolRepository(one, caller.tenant_id).list_by_name(after=after or "", limit=most)
            )
            built_in: list[Tool | BuiltIn] = [BuiltIn(name) for name in BUILT_IN if name > (after or "")]
            return sorted([*built_in, *tools], key=lambda tool: tool.name)[:most]

        return await self._cursors.slice(
            rows, key=lambda tool: tool.name, scope=["agents.tools", caller.tenant_id], limit=limit, cursor=cursor
        )

    async def delete(self, caller: Caller, name: str, if_match: str | None) -> None:
        """Raises ToolNotFound, PreconditionFailed, ToolInUse where an agent names it."""

        async def work(transaction: AsyncManagedTransaction) -> Tool:
            tools = ToolRepository(transaction, caller.tenant_id)
            await SecretRepository(transaction, caller.tenant_id).take_turn()
            await tools.lock([name])
            tool = await _get(tools, name)
            require_match(if_match, etag(tool.version))
            if agents := await tools.agents_naming(name):
                raise ToolInUse(agents)
            await tools.delete(name)
            return tool

        deleted = await self._graph.write(work)
        self._auth.tell(caller, Done.TOOL_DELETED, name, once=deleted.version)


async def _get(tools: ToolRepository, name: str) -> Tool:
    found = await tools.named([name])
    if name not in found:
        raise ToolNotFound
    return found[name]


async def _require_secrets(
    secrets: SecretRepository, content: ToolContent, place: str | None, allowed: Allowed
) -> None:
    """Told at the place, else at the header. Raises SecretUnknown, SecretElsewhere, SecretUnencrypted."""
    present = await secrets.sealed(content.secrets)
    is_open = not content.target.url.lower().startswith("https://")
    for header, secret in content.named_secrets():
        pointer = place or f"/headers/{escaped(header)}"
        if secret not in present:
            raise SecretUnknown(pointer, secret)
        if not present[secret].is_for(host := host_of(content.target.url)):
            raise SecretElsewhere(pointer, secret, host)
        if is_open and not allowed.is_inside(host):
            raise SecretUnencrypted(pointer, secret, host)


async def _require_room(tools: ToolRepository, tool: Tool, present: Tool | None) -> None:
    """Raises TooManyTools for one more than there may be, ToolInUse for one that lacks what agents name."""
    if present is None:
        if await tools.count() >= MOST_TOOLS:
            raise TooManyTools
        return
    lost = [name for name in names_of(present) if not has(tool, name)]
    if lost and (agents := await tools.agents_naming(tool.name, among=lost)):
        raise ToolInUse(agents)


def _next(name: str, content: ToolContent, present: Tool | None) -> Tool:
    now = datetime.now(UTC)
    return Tool(
        name=name,
        content=content,
        version=new_id(),
        created_at=present.created_at if present else now,
        updated_at=max(now, present.updated_at) if present else now,
    )


def _require_version(if_match: str | None, present: Tool | None) -> None:
    if if_match is None:
        return
    if present is None:
        raise PreconditionFailed
    require_match(if_match, etag(present.version))
