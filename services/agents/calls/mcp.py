"""Calls of the kind `mcp`: which tools a server has, and calling one of those that are allowed."""

import asyncio
import importlib
import logging
from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import ModuleType
from typing import Any, Final

import orjson
from cachetools import TTLCache

from services.agents.calls.domain import CallableTool, Called, ToolFailed
from services.agents.calls.http import require_fit
from services.agents.calls.redaction import Redaction
from services.agents.tools.domain import McpServer, Tool
from shared import deadlines
from shared.json_schema import JsonSchema, SchemaRefused
from shared.outbound import OutboundClient, Owner

_log = logging.getLogger("agents.calls")
_LISTING_SECONDS: Final = 5.0
"""A conversation waits for a listing before its model is asked."""
_KEPT_SECONDS, _FAILURE_KEPT_SECONDS = 300.0, 30.0
_MOST_KEPT_BYTES: Final = 32 * 2**20
_MOST_FAILURES: Final = 10_000
_MOST_SCHEMA_BYTES: Final = 16 * 1024
_MOST_DESCRIPTION: Final = 1024
_SDK: Final = "services.agents.calls.mcp_session"
_Key = tuple[str, str, str, bytes]


class McpTools:
    """Asks servers through the guard; what they have is kept for some minutes, that one is down for half a minute."""

    def __init__(self, outbound: OutboundClient) -> None:
        self._outbound = outbound
        self._listed: TTLCache[_Key, list[CallableTool]] = TTLCache(_MOST_KEPT_BYTES, _KEPT_SECONDS, getsizeof=_size)
        self._failed: TTLCache[_Key, str] = TTLCache(_MOST_FAILURES, _FAILURE_KEPT_SECONDS)

    def kept(self, owner: Owner, tool: Tool, headers: Mapping[str, str]) -> list[CallableTool] | None:
        """What is known without asking. Raises ToolFailed where it is known that the server is down."""
        key = _key(owner, tool, headers)
        if (failure := self._failed.get(key)) is not None and key not in self._listed:
            raise ToolFailed(failure)
        return self._listed.get(key)

    async def list_callable(
        self, owner: Owner, tool: Tool, headers: Mapping[str, str], secrets: Mapping[str, str]
    ) -> list[CallableTool]:
        """The allowed tools that the server has now, by the names that agents call. Raises ToolFailed."""
        if (kept := self.kept(owner, tool, headers)) is not None:
            return kept
        key, is_hurried = _key(owner, tool, headers), deadlines.remaining(_seconds(tool)) < _seconds(tool)
        try:
            listed = await self._ask(owner, tool, headers, secrets)
        except ToolFailed as error:
            if not is_hurried and not error.is_callers:
                self._failed[key] = error.detail
            raise
        if _size(listed) <= _MOST_KEPT_BYTES:
            self._listed[key] = listed
        return listed

    async def call(
        self,
        owner: Owner,
        tool: Tool,
        inner: str,
        arguments: Mapping[str, Any],
        headers: Mapping[str, str],
        secrets: Mapping[str, str],
    ) -> Called:
        """Call the server's tool `inner`. Raises ToolArgumentsInvalid, ToolFailed."""
        listed = await self.list_callable(owner, tool, headers, secrets)
        found = next((one for one in listed if one.name == f"{tool.name}.{inner}"), None)
        if found is None:
            raise ToolFailed("The server does not have this tool now.")
        require_fit(found.parameters, arguments)
        sdk = await _sdk()
        called: Called = await sdk.call_tool(
            self._outbound.of(owner), tool.content.target.url, headers, tool.content.timeout_seconds, inner, arguments
        )
        return called

    async def _ask(
        self, owner: Owner, tool: Tool, headers: Mapping[str, str], secrets: Mapping[str, str]
    ) -> list[CallableTool]:
        target = tool.content.target
        assert isinstance(target, McpServer)  # noqa: S101 - by its kind
        sdk = await _sdk()
        found = await sdk.list_tools(self._outbound.of(owner), target.url, headers, _seconds(tool))
        allowed = dict[str, Any]()
        for one in found:
            if one.name in target.allow:
                allowed.setdefault(one.name, one)  # a server may list one a hundred thousand times
        # In a thread: a tool may have a hundred long secrets, and these be looked for in megabytes.
        return await asyncio.to_thread(_all_offered, tool, list(allowed.values()), secrets)


def _key(owner: Owner, tool: Tool, headers: Mapping[str, str]) -> _Key:
    """With what the headers hold: under a new credential a server may do otherwise."""
    return owner.tenant_id, tool.name, tool.version, sha256(orjson.dumps(sorted(headers.items()))).digest()


def _seconds(tool: Tool) -> float:
    return min(tool.content.timeout_seconds, _LISTING_SECONDS)


def _all_offered(tool: Tool, found: Sequence[Any], secrets: Mapping[str, str]) -> list[CallableTool]:
    redaction = Redaction(secrets)
    offered = [_offered(tool, one, redaction) for one in found]
    return [one for one in offered if one is not None]


def _offered(tool: Tool, one: Any, redaction: Redaction) -> CallableTool | None:
    """As a model is offered it; None, with a warning, where its schema is none that is held against arguments here."""
    name = f"{tool.name}.{one.name}"
    try:
        parameters = _schema(one.input_schema, redaction)
    except (SchemaRefused, orjson.JSONDecodeError, TypeError) as error:  # TypeError: of integers beyond 64 bits
        _log.warning("a server's tool is left out", extra={"fields": {"tool": name, "reason": type(error).__name__}})
        return None
    return CallableTool(
        name=name,
        description=redaction.of(one.description or "", _MOST_DESCRIPTION),
        parameters=parameters,
        needs_approval=tool.content.needs_approval,
        timeout_seconds=tool.content.timeout_seconds,
    )


def _schema(told: Mapping[str, Any], redaction: Redaction) -> dict[str, Any]:
    """Most servers name an older dialect, and use of it what all have in common. Raises SchemaRefused."""
    whole = orjson.dumps({name: part for name, part in told.items() if name != "$schema"})
    if len(whole) > _MOST_SCHEMA_BYTES:  # before anything is looked for in it
        raise SchemaRefused("it is too large")
    text = redaction.of(whole.decode())
    if len(text) > _MOST_SCHEMA_BYTES:
        raise SchemaRefused("it is too large")
    schema: dict[str, Any] = orjson.loads(text)
    JsonSchema(schema)
    return schema


def _size(listed: Sequence[CallableTool]) -> int:
    return 256 + sum(len(one.description) + 4 * len(orjson.dumps(one.parameters)) for one in listed)


async def _sdk() -> ModuleType:
    """In a thread: importing it takes a second."""
    return await asyncio.to_thread(importlib.import_module, _SDK)
