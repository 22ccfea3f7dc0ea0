"""A server of tools does not have itself asked for ever within the time of one call."""

import asyncio
from collections import Counter
from contextlib import suppress

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.agents.calls.domain import ToolFailed
from services.agents.calls.mcp_session import list_tools
from shared.outbound import Allowed, OutboundClient
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.agents.toolbox import serving

MANY = 200
PINGS = b"".join(
    b'event: message\ndata: {"jsonrpc":"2.0","id":%d,"method":"ping"}\n\n' % number for number in range(2 * MANY)
)


class Greedy:
    """Answers `tools/list` only when it was asked for `MANY` things that came of its own stream."""

    def __init__(self, stream: bytes = b"") -> None:
        self.tools = [{"name": "one", "inputSchema": {"type": "object"}}]
        self.stream, self.asked, self._is_much = stream, Counter[str](), asyncio.Event()
        self.headers = {"mcp-session-id": "one"}
        if not stream:
            self._is_much.set()

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/mcp", self._answer, methods=["GET", "POST"])])

    async def _answer(self, request: Request) -> Response:
        self.asked.update([request.method])
        if self.asked.total() >= MANY:
            self._is_much.set()
        if request.method == "GET":
            return Response(self.stream, media_type="text/event-stream")
        message = orjson.loads(await request.body())
        match message.get("method"):
            case "initialize":
                told = {
                    "protocolVersion": message["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "greedy", "version": "1"},
                }
            case "tools/list":
                await self._is_much.wait()
                told = {"tools": self.tools}
            case _:
                return Response(status_code=202)
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": told}
        return JSONResponse(answer, headers=self.headers)


async def ask(greedy: Greedy, seconds: float = PATIENCE_SECONDS) -> list[str]:
    """The tools that it has. Raises ToolFailed."""

    async def resolve(*_: object) -> list[str]:
        return []

    outbound = OutboundClient(Allowed.of("127.0.0.1"), resolve)
    async with serving(greedy.app) as address:
        return [tool.name for tool in await list_tools(outbound, f"{address}/mcp", {}, seconds)]


@pytest.mark.parametrize("stream", [b"retry: 0\n\n", PINGS], ids=["a stream that ends at once", "a stream of requests"])
async def test_requests_of_one_conversation_are_bounded(stream: bytes) -> None:
    for seconds in (3.0, 20.0):  # for a machine that stands still for most of the first
        greedy = Greedy(stream)
        with suppress(ToolFailed):
            await ask(greedy, seconds)
        if greedy.asked.total() > 10:
            break

    assert 10 < greedy.asked.total() < MANY


async def test_a_server_that_sets_a_cookie_is_asked_without_it() -> None:
    """As balancers do before each."""
    greedy = Greedy()
    greedy.headers["set-cookie"] = "AWSALB=x; Path=/"

    assert await ask(greedy) == ["one"]


async def test_of_what_a_server_lists_so_much_is_read_as_costs_nobody_a_turn() -> None:
    many, too_many = Greedy(), Greedy()
    many.tools *= 1_000
    too_many.tools *= 10_000

    assert len(await ask(many)) == 1_000
    with pytest.raises(ToolFailed):
        await ask(too_many)
