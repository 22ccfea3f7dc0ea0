"""What a server of tools has is listed without a long wait of anybody else's, whatever secrets the tool has."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from services.agents.calls import mcp
from services.agents.calls.domain import CallableTool
from services.agents.calls.mcp import McpTools
from services.agents.calls.redaction import Redaction
from services.agents.tools.domain import McpServer, Tool, ToolContent
from shared.outbound import Allowed, OutboundClient, Owner

NAMES = tuple(f"tool_{number}" for number in range(64))
LONG = {f"S{number}": f"{number:04}<&'+/" * 900 for number in range(10)}
NOW = datetime.now(UTC)


def tool() -> Tool:
    target = McpServer(url="https://mcp.example.com/mcp", allow=NAMES)
    content = ToolContent(description=None, target=target, headers={}, needs_approval=False, timeout_seconds=20.0)
    return Tool(name="server", content=content, version="1", created_at=NOW, updated_at=NOW)


async def listed(
    monkeypatch: pytest.MonkeyPatch, schema: Mapping[str, Any], secrets: Mapping[str, str]
) -> list[CallableTool]:
    async def list_tools(*_: object) -> list[Any]:
        return [SimpleNamespace(name=name, description="Says it.", input_schema=schema) for name in NAMES]

    async def sdk() -> Any:
        return SimpleNamespace(list_tools=list_tools)

    async def resolve(*_: object) -> list[str]:
        return []

    monkeypatch.setattr(mcp, "_sdk", sdk)
    tools = McpTools(OutboundClient(Allowed(), resolve))
    return await tools.list_callable(Owner("t", "u"), tool(), {}, secrets)


async def longest_wait(ended: asyncio.Event) -> float:
    """Of one who only wants a turn: in seconds that this process worked, so that a busy machine does not count."""
    longest = 0.0
    while not ended.is_set():
        at = time.process_time()
        await asyncio.sleep(0)
        longest = max(longest, time.process_time() - at)
    return longest


async def test_long_secrets_are_looked_for_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()
    waiting = asyncio.create_task(longest_wait(ended))
    await asyncio.sleep(0)

    found = await listed(monkeypatch, {"type": "object", "description": LONG["S7"]}, LONG)

    ended.set()
    assert await waiting < 1.0
    assert len(found) == len(NAMES)
    assert found[0].parameters["description"] == "[S7]"


async def test_what_is_too_large_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = list[int]()
    of = Redaction.of

    def noted(self: Redaction, text: str, most: int | None = None) -> str:
        looked.append(len(text))
        return of(self, text, most)

    monkeypatch.setattr(Redaction, "of", noted)

    assert await listed(monkeypatch, {"type": "object", "description": "x" * 20_000}, {"KEY": "a-long-secret"}) == []
    assert max(looked, default=0) < 20_000
