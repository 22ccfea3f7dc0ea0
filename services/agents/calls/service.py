"""The use cases around calls: which tools an agent has, and calling one."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
from neo4j import AsyncManagedTransaction

from services.agents.calls.domain import CALLS, CallableTool, Called, ToolFailed
from services.agents.calls.http import HttpTools
from services.agents.calls.mcp import McpTools
from services.agents.errors import ToolNotFound
from services.agents.graph import Graph
from services.agents.repository import AgentRepository
from services.agents.secrets.domain import Sealed
from services.agents.secrets.hosts import host_of
from services.agents.secrets.repository import SecretRepository
from services.agents.tools.domain import (
    BUILT_IN,
    HttpCall,
    McpServer,
    Tool,
    definition_of,
    has,
    with_secrets,
)
from services.agents.tools.repository import ToolRepository
from shared.identity import Caller
from shared.limits import Shares, ShareTaken
from shared.outbound import Owner
from shared.sealing import Seal

_log = logging.getLogger("agents.calls")
_ASKED_AT_ONCE: Final = 4
"""Servers, of one agent: a fraction of the calls that its user may have under way."""
_TURN_SECONDS: Final = 5.0
_MOST_OFFERED_BYTES: Final = 2**20
"""Of schemas and descriptions of one agent's tools: no model is told more, and chat reads it before each answer."""


@dataclass(frozen=True, slots=True)
class _Equipped:
    """A tool with what its secrets hold; of a secret that no key opens, or that is for other hosts, nothing."""

    tool: Tool
    secrets: Mapping[str, str]
    elsewhere: Collection[str]
    """Its secrets that may not be sent where it leads."""

    @property
    def headers(self) -> dict[str, str]:
        """Raises ToolFailed where a secret is missing."""
        try:
            return {name: with_secrets(text, self.secrets) for name, text in self.tool.content.headers.items()}
        except KeyError as error:
            if error.args[0] in self.elsewhere:
                raise ToolFailed(f"The secret {error.args[0]} may not be sent where the tool leads.") from error
            raise ToolFailed(f"The secret {error.args[0]} of the tool cannot be read.") from error


class CallService:
    """What chat does with a caller's rights. Every method raises AgentNotFound and Unavailable."""

    def __init__(self, graph: Graph, seal: Seal, http: HttpTools, mcp: McpTools) -> None:
        self._graph, self._seal, self._http, self._mcp = graph, seal, http, mcp
        self._shares = Shares("calls of tools", CALLS)

    async def list_callable(self, caller: Caller, agent_id: str) -> list[CallableTool]:
        """The tools that the agent names and the tenant defined, as a model is offered them."""
        names, equipped = await self._equipped(caller, agent_id)
        turns = asyncio.Semaphore(_ASKED_AT_ONCE)
        listed = await asyncio.gather(*(self._offered(caller, one, turns) for one in equipped.values()))
        named = [tool for tools in listed for tool in tools if _is_named(names, tool.name)]
        offered = list(_affordable(named))
        if len(offered) < len(named):
            fields = {"agent": agent_id, "offered": len(offered), "of": len(named)}
            _log.warning("an agent's tools are too large together", extra={"fields": fields})
        return offered

    async def _offered(self, caller: Caller, one: _Equipped, turns: asyncio.Semaphore) -> list[CallableTool]:
        content = one.tool.content
        if isinstance(content.target, HttpCall):
            return [_offered(one.tool, content.target)]
        try:
            return await self._listed(caller, one, turns)
        except ToolFailed as error:
            _log.warning(
                "a server's tools are absent", extra={"fields": {"tool": one.tool.name, "reason": error.detail}}
            )
            return []

    async def _listed(self, caller: Caller, one: _Equipped, turns: asyncio.Semaphore) -> list[CallableTool]:
        """What a server has. Who asks holds one of the calls under way; who knows does not. Raises ToolFailed."""
        owner, headers = _owner(caller), one.headers
        if (kept := self._mcp.kept(owner, one.tool, headers)) is not None:
            return kept
        async with _turn(turns):
            with self._placed(caller):
                return await self._mcp.list_callable(owner, one.tool, headers, one.secrets)

    async def call(self, caller: Caller, agent_id: str, name: str, arguments: Mapping[str, Any]) -> Called:
        """What came of it, failures of the tool included. Raises ToolNotFound, ToolArgumentsInvalid."""
        names, equipped = await self._equipped(caller, agent_id)
        one = equipped.get(definition_of(name))
        if one is None or not _is_named(names, name) or not _is_executed(one.tool, name):
            raise ToolNotFound
        try:
            called = await self._executed(caller, one, name, arguments)
        except ToolFailed as error:
            _log.info("a tool failed", extra={"fields": {"tool": name, "agent": agent_id, "reason": error.detail}})
            called = Called(error.detail, is_error=True)
        if not one.secrets:
            return called.without({})
        # In a thread: a hundred long secrets are written in thousands of ways.
        return await asyncio.to_thread(called.without, one.secrets)

    async def _executed(self, caller: Caller, one: _Equipped, name: str, arguments: Mapping[str, Any]) -> Called:
        content, headers, owner = one.tool.content, one.headers, _owner(caller)
        with self._placed(caller):
            if isinstance(content.target, HttpCall):
                return await self._http.call(owner, content.target, arguments, headers, content.timeout_seconds)
            inner = name.partition(".")[2]
            return await self._mcp.call(owner, one.tool, inner, arguments, headers, one.secrets)

    @contextmanager
    def _placed(self, caller: Caller) -> Iterator[None]:
        """One of the calls under way. Raises ToolFailed: the model may go on without the tool, or call it again."""
        try:
            place = self._shares.take(caller.tenant_id, caller.subject)
        except ShareTaken as error:
            raise ToolFailed(error.detail) from error
        if place is None:
            raise ToolFailed("Too many calls of tools are under way.")
        try:
            yield
        finally:
            place.give_back()

    async def _equipped(self, caller: Caller, agent_id: str) -> tuple[tuple[str, ...], dict[str, _Equipped]]:
        """What the agent names, and the definitions of it that are there."""

        async def work(
            transaction: AsyncManagedTransaction,
        ) -> tuple[tuple[str, ...], dict[str, Tool], dict[str, Sealed]]:
            agent = await AgentRepository(transaction, caller.tenant_id).get(agent_id)
            wanted = {definition_of(name) for name in agent.tools} - BUILT_IN
            tools = await ToolRepository(transaction, caller.tenant_id).named(wanted) if wanted else {}
            needed = {secret for tool in tools.values() for secret in tool.content.secrets}
            secrets = SecretRepository(transaction, caller.tenant_id)
            return agent.tools, tools, await secrets.sealed(needed) if needed else {}

        names, tools, sealed = await self._graph.read(work)
        return names, {name: self._with_secrets(caller.tenant_id, tool, sealed) for name, tool in tools.items()}

    def _with_secrets(self, tenant_id: str, tool: Tool, sealed: Mapping[str, Sealed]) -> _Equipped:
        """What may not be sent where the tool leads is not even opened: since it was defined, hosts may have gone."""
        needed = {name: sealed[name] for name in tool.content.secrets if name in sealed}
        host = host_of(tool.content.target.url) if needed else ""
        opened = {name: self._seal.open(tenant_id, name, one.text) for name, one in needed.items() if one.is_for(host)}
        values = {name: value for name, value in opened.items() if value is not None}
        return _Equipped(tool, values, needed.keys() - opened.keys())


@asynccontextmanager
async def _turn(turns: asyncio.Semaphore) -> AsyncIterator[None]:
    """Raises ToolFailed where the servers before do not answer: the conversation waits."""
    try:
        async with asyncio.timeout(_TURN_SECONDS):
            await turns.acquire()
    except TimeoutError as error:
        raise ToolFailed("The agent's other servers do not answer.") from error
    try:
        yield
    finally:
        turns.release()


def _owner(caller: Caller) -> Owner:
    return Owner(caller.tenant_id, caller.subject)


def _is_named(names: Iterable[str], name: str) -> bool:
    """Whether an agent that names these has the tool: by its own name, or by that of its server."""
    return name in names or definition_of(name) in names


def _is_executed(tool: Tool, name: str) -> bool:
    """Whether `name` can be called: a server itself cannot."""
    return has(tool, name) and (name != tool.name or not isinstance(tool.content.target, McpServer))


def _affordable(tools: Iterable[CallableTool]) -> Iterator[CallableTool]:
    """The first of them, up to the bound."""
    left = _MOST_OFFERED_BYTES
    for tool in tools:
        left -= len(tool.description) + len(orjson.dumps(tool.parameters))
        if left < 0:
            return
        yield tool


def _offered(tool: Tool, target: HttpCall) -> CallableTool:
    return CallableTool(
        name=tool.name,
        description=tool.content.description or "",
        parameters=target.parameters,
        needs_approval=tool.content.needs_approval,
        timeout_seconds=tool.content.timeout_seconds,
    )
