"""What carries a secret to a server of tools goes to that server only, by scheme and port too."""

import asyncio
from typing import Any

import httpx2
import pytest

from services.agents.calls.mcp_session import _Guarded
from shared.outbound import OutboundError, OutboundRequest

URL = "https://mcp.example.com/mcp"


class Refusing:
    """Sends nothing, and keeps what it was to send."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def start(self, asked: OutboundRequest) -> Any:
        self.asked.append(asked.url)
        raise OutboundError("not here")


async def sent(url: str) -> list[str]:
    """To where the request went."""
    outbound: Any = Refusing()
    guarded = _Guarded(outbound, URL, {"X-Key": "k"}, asyncio.get_running_loop().time() + 60)
    with pytest.raises(httpx2.ConnectError):
        await guarded.handle_async_request(httpx2.Request("POST", url))
    asked: list[str] = outbound.asked
    return asked


@pytest.mark.parametrize("url", [URL, "https://mcp.example.com:443/mcp", "https://mcp.example.com/other"])
async def test_the_server_is_asked(url: str) -> None:
    assert len(await sent(url)) == 1


@pytest.mark.parametrize(
    "url", ["http://mcp.example.com/mcp", "https://mcp.example.com:8443/mcp", "https://example.com/mcp"]
)
async def test_no_other_is(url: str) -> None:
    assert await sent(url) == []
