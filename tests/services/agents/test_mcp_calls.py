"""Tools of a real server of the Model Context Protocol, called through the guard."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import Tool
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from local.suite import Suite
from tests.fixtures.apps import open_service
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.ports import free_port
from tests.services.agents.conftest import AGENTS, Create
from tests.services.agents.test_calls import called, define
from tests.services.agents.toolbox import TOOLBOX, serving

server = MCPServer("tests")


@server.tool(description="Adds two numbers.")
def add(a: int, b: int) -> int:
    return a + b


@server.tool(description="Repeats a text.")
def repeat(text: str, times: int = 1) -> str:
    return text * times


@server.tool(description="Fails.")
def fail() -> str:
    raise ToolError("out of paper")


@server.tool(description="Tells what it was asked with.")
def headers(ctx: Context) -> str:
    return str(dict(ctx.request_context.request.headers))  # type: ignore[union-attr]


@server.tool(description="Is not allowed.")
def secret() -> str:
    return "hidden"


ALLOWED = ["add", "repeat", "fail", "headers", "absent"]


@pytest.fixture(scope="module")
async def shared_app(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["neo4j", "redis-cache"])
    async with open_service(suite, is_watched=False)("agents", outbound_allow="127.0.0.1") as client:
        yield client


@pytest.fixture(autouse=True)
def patient_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are listed, and have their turn, however long the machine takes; one that hangs has its own second."""
    monkeypatch.setattr("services.agents.calls.mcp._LISTING_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr("services.agents.calls.service._TURN_SECONDS", PATIENCE_SECONDS)


@pytest.fixture(scope="module")
async def address() -> AsyncIterator[str]:
    async with serving(server.streamable_http_app(), lifespan="on") as address:
        yield f"{address}/mcp"


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without tools."""
    return await register_user()


@pytest.fixture
async def agent(client: httpx.AsyncClient, owner: User, create: Create, address: str) -> dict[str, Any]:
    """One that names all that is allowed of the server, with a credential."""
    await client.put(f"{AGENTS}/secrets/KEY", json={"value": "k-93ae7c", "hosts": ["127.0.0.1"]}, headers=owner.headers)
    body = {"kind": "mcp", "url": address, "allow": ALLOWED, "headers": {"Authorization": "Bearer ${secret:KEY}"}}
    await define(client, owner, "server", body)
    return await create("Caller", by=owner, tools=["server"])


async def listed(client: httpx.AsyncClient, user: User, agent: dict[str, Any]) -> dict[str, Any]:
    answer = await client.get(f"/internal/agents/{agent['id']}/tools", headers=user.headers)
    assert answer.status_code == 200, answer.text
    return {tool["name"]: tool for tool in answer.json()["tools"]}


async def test_what_is_allowed_and_there_is_listed(
    client: httpx.AsyncClient, owner: User, agent: dict[str, Any], create: Create
) -> None:
    found = await listed(client, owner, agent)

    assert found.keys() == {"server.add", "server.repeat", "server.fail", "server.headers"}
    assert found["server.add"]["description"] == "Adds two numbers."
    assert found["server.add"]["parameters"]["required"] == ["a", "b"]
    one = await create("Adder", by=owner, tools=["server.add"])
    assert (await listed(client, owner, one)).keys() == {"server.add"}
    assert (await called(client, owner, one, "server.repeat", {"text": "x"})).status_code == 404


async def test_a_call_is_answered_as_the_server_does(
    client: httpx.AsyncClient, owner: User, agent: dict[str, Any]
) -> None:
    added = await called(client, owner, agent, "server.add", {"a": 2, "b": 3})
    failed = await called(client, owner, agent, "server.fail", {})
    huge = await called(client, owner, agent, "server.repeat", {"text": "0123456789", "times": 5_000})
    wrong = await called(client, owner, agent, "server.add", {"a": "two", "b": 3})

    assert added.json() == {"content": "5", "is_error": False, "is_truncated": False}
    assert (failed.json()["is_error"], "out of paper" in failed.json()["content"]) == (True, True)
    assert (len(huge.json()["content"]), huge.json()["is_truncated"]) == (32_768, True)
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/arguments/a")


async def test_an_answer_stands_though_the_server_hangs_when_it_is_left(
    client: httpx.AsyncClient, owner: User, create: Create
) -> None:
    other = MCPServer("hangs")
    other.tool(name="add", description="Adds two numbers.")(add)
    app = other.streamable_http_app()

    async def hangs_on_delete(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "DELETE":
            await asyncio.Event().wait()
        await app(scope, receive, send)

    async with serving(hangs_on_delete, lifespan="on") as address:
        await define(client, owner, "leaving", {"kind": "mcp", "url": f"{address}/mcp", "allow": ["add"]})
        agent = await create("Caller", by=owner, tools=["leaving"])

        answer = await called(client, owner, agent, "leaving.add", {"a": 2, "b": 3})

    assert answer.json() == {"content": "5", "is_error": False, "is_truncated": False}


@pytest.mark.parametrize("name", ["server", "server.secret", "server.other"])
async def test_what_is_not_allowed_is_not_there(
    client: httpx.AsyncClient, owner: User, agent: dict[str, Any], name: str
) -> None:
    refused = await called(client, owner, agent, name, {})

    assert (refused.status_code, refused.json()["code"]) == (404, "agents.tool_not_found")


async def test_a_secret_reaches_the_server_and_nobody_else(
    client: httpx.AsyncClient, owner: User, agent: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    answer = await called(client, owner, agent, "server.headers", {})

    assert "'authorization': 'Bearer [KEY]'" in answer.json()["content"]
    of_the_server = ("sse_starlette", "uvicorn", "mcp.server")
    logged = [str(record.__dict__) for record in caplog.records if not record.name.startswith(of_the_server)]
    assert "93ae7c" not in answer.text + "".join(logged)


async def test_a_tool_that_the_server_has_no_more_fails_in_a_sentence(
    client: httpx.AsyncClient, owner: User, agent: dict[str, Any]
) -> None:
    answer = (await called(client, owner, agent, "server.absent", {})).json()

    assert answer == {
        "content": "The server does not have this tool now.",
        "is_error": True,
        "is_truncated": False,
    }


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("http://127.0.0.1:{free}/mcp", "could not be reached"),
        ("http://127.0.0.2:{port}/mcp", "may not be asked"),
        ("http://127.0.0.1:{port}/hang", "in time"),
        ("http://127.0.0.1:{port}/say?text=hello", "protocol"),
        ("http://127.0.0.1:{port}/redirect", "protocol"),
    ],
)
async def test_a_server_that_does_not_serve_makes_its_tools_absent(
    client: httpx.AsyncClient, owner: User, create: Create, path: str, told: str
) -> None:
    async with serving(TOOLBOX) as address:
        url = path.replace("{port}", address.rsplit(":", 1)[1]).replace("{free}", str(free_port()))
        seconds = 1 if told == "in time" else 50
        await define(client, owner, "down", {"kind": "mcp", "url": url, "allow": ["add"], "timeout_seconds": seconds})
        await define(client, owner, "up", {"kind": "http", "description": "x", "url": f"{address}/say?text=up"})
        agent = await create("Caller", by=owner, tools=["down", "up"])

        found = await listed(client, owner, agent)
        answer = (await called(client, owner, agent, "down.add", {})).json()

        assert found.keys() == {"up"}
        assert answer["is_error"] is True
        assert told in answer["content"]


async def test_more_servers_than_a_user_has_calls_are_all_listed(
    client: httpx.AsyncClient, owner: User, create: Create, address: str
) -> None:
    names = [f"server{number}" for number in range(24)]
    for name in names:
        await define(client, owner, name, {"kind": "mcp", "url": address, "allow": ["add"]})
    agent = await create("Caller", by=owner, tools=names)

    found = await listed(client, owner, agent)

    assert found.keys() == {f"{name}.add" for name in names}


async def test_what_a_server_lists_again_and_again_is_there_once(
    client: httpx.AsyncClient, owner: User, create: Create
) -> None:
    class Repeating(MCPServer):
        async def list_tools(self) -> list[Tool]:
            return await super().list_tools() * 500

    other = Repeating("repeating")
    other.tool(name="add", description="Adds two numbers.")(add)
    async with serving(other.streamable_http_app(), lifespan="on") as address:
        await define(client, owner, "server", {"kind": "mcp", "url": f"{address}/mcp", "allow": ["add"]})
        agent = await create("Caller", by=owner, tools=["server"])

        answer = await client.get(f"/internal/agents/{agent['id']}/tools", headers=owner.headers)

    assert [tool["name"] for tool in answer.json()["tools"]] == ["server.add"]


async def test_tools_that_are_too_large_together_are_left_out(
    client: httpx.AsyncClient, owner: User, create: Create
) -> None:
    """Each server's answer is within its bound, and chat would read all of them before each answer of the agent."""
    names = [f"tool_{number:02}" for number in range(60)]

    class Wordy(MCPServer):
        async def list_tools(self) -> list[Tool]:
            schema = {"type": "object", "description": "x" * 15_000}
            return [Tool(name=name, description="Says much.", input_schema=schema) for name in names]

    async with serving(Wordy("wordy").streamable_http_app(), lifespan="on") as address:
        for server_name in ("one", "two"):
            await define(client, owner, server_name, {"kind": "mcp", "url": f"{address}/mcp", "allow": names})
        agent = await create("Caller", by=owner, tools=["one", "two"])

        answer = await client.get(f"/internal/agents/{agent['id']}/tools", headers=owner.headers)

    offered = [tool["name"] for tool in answer.json()["tools"]]
    assert set(offered) > {f"one.{name}" for name in names}
    assert len(offered) < 2 * len(names)
    assert len(answer.content) < 1.1 * 2**20


async def test_a_new_credential_is_tried_at_once(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    other = MCPServer("locked")
    other.tool(name="add", description="Adds two numbers.")(add)
    app = other.streamable_http_app()

    async def locked(scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] != "http" or (b"x-key", b"the-right-key") in scope["headers"]
        await (app if is_open else PlainTextResponse("no", 401))(scope, receive, send)

    async with serving(locked, lifespan="on") as address:
        body = {"kind": "mcp", "url": f"{address}/mcp", "allow": ["add"], "headers": {"X-Key": "${secret:KEY}"}}
        await client.put(
            f"{AGENTS}/secrets/KEY", json={"value": "the-wrong-key", "hosts": ["127.0.0.1"]}, headers=owner.headers
        )
        await define(client, owner, "locked", body)
        agent = await create("Caller", by=owner, tools=["locked"])
        before = await listed(client, owner, agent)
        await client.put(
            f"{AGENTS}/secrets/KEY", json={"value": "the-right-key", "hosts": ["127.0.0.1"]}, headers=owner.headers
        )

        after = await listed(client, owner, agent)

    assert (list(before), list(after)) == ([], ["locked.add"])


async def test_who_waits_too_short_for_a_server_leaves_it_to_the_others(
    client: httpx.AsyncClient, owner: User, create: Create
) -> None:
    other = MCPServer("slow")
    other.tool(name="add", description="Adds two numbers.")(add)
    app, is_quick = other.streamable_http_app(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await is_quick.wait()
        await app(scope, receive, send)

    async with serving(slow, lifespan="on") as address:
        await define(client, owner, "slow", {"kind": "mcp", "url": f"{address}/mcp", "allow": ["add"]})
        agent = await create("Caller", by=owner, tools=["slow"])
        path = f"/internal/agents/{agent['id']}/tools"
        hurried = await client.get(path, headers=owner.headers | {"X-Remaining-Ms": "700"})
        is_quick.set()

        assert (await listed(client, owner, agent)).keys() == {"slow.add"}
        assert hurried.json().get("tools", []) == []
