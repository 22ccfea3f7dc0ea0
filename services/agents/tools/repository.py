"""Every statement about tools; each names the tenant.

    (:ToolDefinition {tenant_id, name, kind, definition, secrets, version, created_at, updated_at})

Whoever has an agent name a tool holds the lock of its definition, and so does whoever deletes it: no agent is left with
a tool that is not there.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, LiteralString

import orjson
from neo4j import Record

from services.agents.errors import ToolUnknown
from services.agents.tenancy import TenantRepository
from services.agents.tools.domain import (
    BUILT_IN,
    HttpCall,
    McpServer,
    Method,
    Tool,
    ToolContent,
    ToolKind,
    definition_of,
    has,
)
from shared.errors import FieldProblem

_LOCK: LiteralString = """
    MATCH (t:ToolDefinition) WHERE t.tenant_id = $tenant_id AND t.name IN $names
    WITH t ORDER BY t.name
    SET t.is_locked = true REMOVE t.is_locked
"""
_NAMED: LiteralString = """
    MATCH (t:ToolDefinition) WHERE t.tenant_id = $tenant_id AND t.name IN $names
    RETURN properties(t) AS tool ORDER BY t.name
"""
_PAGE: LiteralString = """
    MATCH (t:ToolDefinition) WHERE t.tenant_id = $tenant_id AND t.name > $after
    RETURN properties(t) AS tool ORDER BY t.tenant_id, t.name LIMIT $limit
"""
_COUNT: LiteralString = "MATCH (t:ToolDefinition {tenant_id: $tenant_id}) RETURN count(t) AS tools"
_PUT: LiteralString = "MERGE (t:ToolDefinition {tenant_id: $tenant_id, name: $name}) SET t += $properties"
_DELETE: LiteralString = "MATCH (t:ToolDefinition {tenant_id: $tenant_id, name: $name}) DELETE t"
_THAT_NEED: LiteralString = """
    MATCH (t:ToolDefinition) WHERE t.tenant_id = $tenant_id AND $secret IN t.secrets
    RETURN t.name AS name ORDER BY t.name LIMIT $limit
"""
# Read off the links, which are of the current version and written with it.
_USED_BY: LiteralString = """
    MATCH (n:Tool) USING INDEX n:Tool(tenant_id, name)
    WHERE n.tenant_id = $tenant_id AND n.name STARTS WITH $name
        AND (n.name = $name OR n.name STARTS WITH $within)
        AND NOT n.name IN $built_in AND ($among IS NULL OR n.name IN $among)
    MATCH (n)<-[:USES]-(a:Agent {tenant_id: $tenant_id})
    RETURN DISTINCT a.name AS name LIMIT $limit
"""
_NAMED_AT_MOST = 5


class ToolRepository(TenantRepository):
    """The tools that one tenant defined."""

    async def lock(self, names: Iterable[str]) -> None:
        """Nobody else deletes these, or has an agent name them, until the transaction ends."""
        await self._run(_LOCK, names=sorted(names))

    async def named(self, names: Iterable[str]) -> dict[str, Tool]:
        """Those of them that are there, by name."""
        found = [_tool(row) for row in await self._run(_NAMED, names=sorted(names))]
        return {tool.name: tool for tool in found}

    async def lock_unknown(self, names: Sequence[str]) -> list[str]:
        """Those of the names that an agent may not have; the others stay until the transaction ends."""
        wanted = {definition_of(name) for name in names} - BUILT_IN
        if not wanted:
            return []
        # Reading is a statement of its own: one that waited for a lock may have found what is deleted meanwhile.
        await self.lock(wanted)
        known = await self.named(wanted)
        return [name for name in names if name not in BUILT_IN and not _is_known(known, name)]

    async def require(self, names: Sequence[str], *, but: Collection[str] = (), pointer: str | None = None) -> None:
        """What an agent is to name is there, and stays until the transaction ends; `but` what it named before.

        Raises ToolUnknown, which points at each by its place, or at `pointer`.
        """
        unknown = await self.lock_unknown([name for name in names if name not in but])
        problems = [
            FieldProblem(
                pointer=pointer or f"/tools/{names.index(name)}",
                code="tool_unknown",
                detail=f"{name!r} is neither built in nor defined.",
            )
            for name in unknown
        ]
        if problems:
            raise ToolUnknown(problems)

    async def list_by_name(self, *, after: str, limit: int) -> list[Tool]:
        """Up to `limit` that follow the name."""
        return [_tool(row) for row in await self._run(_PAGE, after=after, limit=limit)]

    async def count(self) -> int:
        """How many there are."""
        return int((await self._run(_COUNT))[0]["tools"])

    async def put(self, tool: Tool) -> None:
        """Keep it, in place of what was there."""
        properties = {
            "kind": str(tool.content.kind),
            "definition": orjson.dumps(asdict(tool.content)).decode(),  # in the order in which it was written
            "secrets": sorted(tool.content.secrets),
            "version": tool.version,
            "created_at": tool.created_at,
            "updated_at": tool.updated_at,
        }
        await self._run(_PUT, name=tool.name, properties=properties)

    async def delete(self, name: str) -> None:
        """Delete it, if it is there."""
        await self._run(_DELETE, name=name)

    async def naming_secret(self, secret: str) -> list[str]:
        """Some of the tools that need this secret."""
        rows = await self._run(_THAT_NEED, secret=secret, limit=_NAMED_AT_MOST)
        return [row["name"] for row in rows]

    async def agents_naming(self, name: str, *, among: Collection[str] | None = None) -> list[str]:
        """The names of some of the agents that name the tool, or a tool of this server, at their current version.

        With `among` those that name one of these.
        """
        rows = await self._run(
            _USED_BY,
            name=name,
            within=f"{name}.",
            among=None if among is None else sorted(among),
            built_in=sorted(BUILT_IN),
            limit=_NAMED_AT_MOST,
        )
        return [row["name"] for row in rows]


def meaning_of(content: ToolContent) -> str:
    """The same for two only where a caller reads the same, in whichever order (`1` is not `1.0`, nor `true`)."""
    return orjson.dumps(asdict(content), option=orjson.OPT_SORT_KEYS).decode()


def _is_known(known: Mapping[str, Tool], name: str) -> bool:
    tool = known.get(definition_of(name))
    return tool is not None and has(tool, name)


def _tool(row: Record) -> Tool:
    properties = row["tool"]
    return Tool(
        name=properties["name"],
        content=_content(ToolKind(properties["kind"]), orjson.loads(properties["definition"])),
        version=properties["version"],
        created_at=properties["created_at"].to_native(),
        updated_at=properties["updated_at"].to_native(),
    )


def _content(kind: ToolKind, kept: dict[str, Any]) -> ToolContent:
    return ToolContent(**kept | {"target": _target(kind, kept["target"])})


def _target(kind: ToolKind, kept: dict[str, Any]) -> HttpCall | McpServer:
    if kind is ToolKind.MCP:
        return McpServer(url=kept["url"], allow=tuple(kept["allow"]))
    body = kept["body"] if kept["body"] is None else tuple(kept["body"])
    return HttpCall(method=Method(kept["method"]), url=kept["url"], parameters=kept["parameters"], body=body)
