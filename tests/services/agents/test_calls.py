"""Calls of tools, as chat asks for them: made here, through the guard, with secrets that nobody gets to see."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from local.suite import Suite
from shared.schemas import new_id
from tests.fixtures.apps import open_service
from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS, Create
from tests.services.agents.toolbox import TOOLBOX, serving

SECRET = 'k-93ae7c"q\\u'
Call = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture(scope="module")
async def shared_app(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["neo4j", "redis-cache"])
    async with open_service(suite, is_watched=False)("agents", outbound_allow="127.0.0.1") as client:
        yield client


@pytest.fixture(scope="module")
async def address() -> AsyncIterator[str]:
    async with serving(TOOLBOX) as address:
        yield address


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without tools."""
    return await register_user()


@pytest.fixture
def call(client: httpx.AsyncClient, owner: User, create: Create, address: str) -> Call:
    """Defines a tool and an agent that names it, and calls it."""

    async def call(arguments: dict[str, Any], url: str = "/echo", **definition: Any) -> httpx.Response:
        properties = definition.pop("properties", {name: {} for name in arguments})
        schema = {"type": "object", "properties": properties, "required": definition.pop("required", [])}
        body = {"kind": "http", "description": "x", "url": address + url, "parameters": schema} | definition
        await define(client, owner, "tool", body)
        agent = await create(f"Caller {new_id()}x", by=owner, tools=["tool"])
        return await called(client, owner, agent, "tool", arguments)

    return call


async def define(client: httpx.AsyncClient, user: User, name: str, body: dict[str, Any]) -> None:
    answer = await client.put(f"{AGENTS}/tools/{name}", json=body, headers=user.headers)
    assert answer.is_success, answer.text


async def called(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any], name: str, arguments: dict[str, Any]
) -> httpx.Response:
    path = f"/internal/agents/{agent['id']}/tools/{name}/call"
    return await client.post(path, json={"arguments": arguments}, headers=user.headers)


def echoed(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    assert answer.json()["is_error"] is False, answer.text
    return dict(json.loads(answer.json()["content"]))


async def test_arguments_go_where_the_definition_says(call: Call) -> None:
    arguments = {"city": "São Paulo", "days": 3, "lang": "pt", "tags": ["a", "b&c"], "deep": {"x": 1}}

    got = echoed(
        await call(
            arguments,
            "/v1/{city}/now?d={days}&u={unit}",
            required=["city"],
            properties={name: {} for name in [*arguments, "unit"]},
        )
    )
    sent = echoed(await call(arguments, "/v1/{city}", method="POST", required=["city"]))
    mixed = echoed(await call(arguments, "/v1/{city}", method="PATCH", body=["deep"], required=["city"]))

    assert (got["method"], got["path"]) == ("GET", "/v1/S%C3%A3o%20Paulo/now")
    assert parse_qsl(got["query"]) == [("d", "3"), ("lang", "pt"), ("tags", "a"), ("tags", "b&c"), ("deep", '{"x":1}')]
    assert (json.loads(sent["body"]), sent["query"]) == ({k: v for k, v in arguments.items() if k != "city"}, "")
    assert sent["headers"]["content-type"] == "application/json"
    assert (json.loads(mixed["body"]), mixed["query"]) == ({"deep": {"x": 1}}, "days=3&lang=pt&tags=a&tags=b%26c")


@pytest.mark.parametrize(
    "city",
    [
        "..",
        ".",
        "",
        "a/../b",
        "..%2f",
        "%2e%2e",
        "%252e%252e",
        "a\\..",
        "x\n",
        "/",
        "../x",
        "..;",
        "..;x=1",
        "%25252e%25252e",
        "%c0%ae%c0%ae",
    ],
)
async def test_no_argument_changes_the_path(call: Call, city: str) -> None:
    refused = await call({"city": city}, "/v1/{city}/now", required=["city"])

    assert (refused.status_code, refused.json()["code"]) == (422, "agents.tool_arguments_invalid")
    assert refused.json()["errors"][0]["pointer"] == "/arguments/city"


@pytest.mark.parametrize("city", ["a/b", "a?b=c", "a#b", "a;b", "a%20b", "@evil.example", "a&b"])
async def test_an_argument_stays_one_segment(call: Call, city: str) -> None:
    got = echoed(await call({"city": city}, "/v1/{city}/now", required=["city"]))

    assert got["path"].count("/") == 3
    assert got["query"] == ""
    assert not {";", "&", "@"} & set(got["path"])  # encoded as it was judged


async def test_what_the_url_says_no_argument_overrides(call: Call) -> None:
    made_up = {"limit": 1, "role": "admin", "deep": "x"}
    got = echoed(await call(made_up, "/echo?role=user", properties={"limit": {}}))
    sent = echoed(await call(made_up, "/echo?role=user", method="POST", properties={"limit": {}}))

    assert got["query"] == "role=user&limit=1"
    assert (sent["query"], json.loads(sent["body"])) == ("role=user", {"limit": 1})


@pytest.mark.parametrize("value", ["1" + "0" * 30, "[" * 300 + "]" * 300, '"\\ud800"'])
async def test_an_argument_that_nothing_can_send_is_refused(
    client: httpx.AsyncClient, owner: User, create: Create, value: str
) -> None:
    agent = await create("Caller", by=owner)

    refused = await client.post(
        f"/internal/agents/{agent['id']}/tools/tool/call",
        content=f'{{"arguments": {{"x": {value}}}}}',
        headers=owner.headers | {"content-type": "application/json"},
    )

    assert refused.status_code in (400, 422), refused.text


async def test_arguments_are_held_against_the_schema(call: Call) -> None:
    refused = await call({"days": "many"}, properties={"days": {"type": "integer"}, "city": {}}, required=["city"])

    assert (refused.status_code, refused.json()["code"]) == (422, "agents.tool_arguments_invalid")
    assert {problem["pointer"] for problem in refused.json()["errors"]} == {"/arguments", "/arguments/days"}


async def test_a_secret_reaches_the_server_and_nobody_else(
    client: httpx.AsyncClient, owner: User, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await client.put(f"{AGENTS}/secrets/KEY", json={"value": SECRET, "hosts": ["127.0.0.1"]}, headers=owner.headers)

    answer = await call({}, headers={"Authorization": "Bearer ${secret:KEY}", "X-Plain": "p"})

    got = echoed(answer)
    assert (got["headers"]["authorization"], got["headers"]["x-plain"]) == ("Bearer [KEY]", "p")
    assert "93ae7c" not in answer.text + caplog.text


@pytest.mark.parametrize(
    ("url", "is_error", "content"),
    [
        ("/say?text=hello", False, "hello"),
        ("/say?text=%7B%20%22a%22%3A%20%201%7D&type=application/json", False, '{"a":1}'),
        ("/say?text=no+JSON&type=application/json", False, "no JSON"),
        ("/say?status=204", False, "nothing"),
        ("/say?text=x&type=image/png", True, "no text"),
        ("/say?text=x%00y", True, "no text"),
        ("/say?text=because&status=503", True, "status 503: because"),
        ("/redirect", True, "redirect"),
        ("/hang", True, "in time"),
    ],
)
async def test_an_answer_becomes_text(call: Call, url: str, is_error: bool, content: str) -> None:
    answer = await call({}, url, timeout_seconds=1 if url == "/hang" else 50)

    assert answer.status_code == 200
    assert answer.json()["is_error"] is is_error
    assert content in answer.json()["content"]


async def test_a_huge_answer_is_cut_and_says_so(call: Call) -> None:
    for url in ("/say?text=0123456789&times=4000", "/say?text=0123456789&times=1000000"):
        answer = (await call({}, url)).json()

        assert (len(answer["content"]), answer["is_truncated"], answer["is_error"]) == (32_768, True, False)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.2:{port}/say?text=inside", "http://localhost6.invalid/", "http://169.254.169.254/latest"]
)
async def test_what_is_inside_is_not_asked(
    client: httpx.AsyncClient, owner: User, create: Create, address: str, url: str
) -> None:
    body = {"kind": "http", "description": "x", "url": url.replace("{port}", address.rsplit(":", 1)[1])}
    await define(client, owner, "tool", body)
    agent = await create("Curious", by=owner, tools=["tool"])

    answer = (await called(client, owner, agent, "tool", {})).json()

    assert answer["is_error"] is True
    assert answer["content"] in (
        "The host is at an address that may not be asked.",
        "The host name is not known.",
    )


async def test_one_tenants_hanging_tools_leave_the_others_theirs(
    client: httpx.AsyncClient, owner: User, create: Create, address: str, register_user: RegisterUser
) -> None:
    other = await register_user()
    slow = {"kind": "http", "description": "x", "url": f"{address}/hang", "timeout_seconds": 5}
    quick = {"kind": "http", "description": "x", "url": f"{address}/say?text=quick"}
    await define(client, owner, "slow", slow)
    await define(client, other, "quick", quick)
    hanging = await create("Hanging", by=owner, tools=["slow"])
    answering = await create("Answering", by=other, tools=["quick"])

    calls = [asyncio.create_task(called(client, owner, hanging, "slow", {})) for _ in range(40)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    answer = await called(client, other, answering, "quick", {})

    assert answer.json()["content"] == "quick"
    told = {(await one).json()["content"] for one in calls}
    assert told == {
        "One user may have 16 calls of tools under way at once.",
        "The server did not answer in time.",
    }


async def test_an_agent_has_what_it_names_and_calls_nothing_else(
    client: httpx.AsyncClient, owner: User, create: Create, address: str, register_user: RegisterUser
) -> None:
    body = {"kind": "http", "description": "Says.", "url": f"{address}/say", "needs_approval": True}
    await define(client, owner, "named", body)
    await define(client, owner, "other", body)
    agent = await create("Knower", by=owner, tools=["vectors.search", "named"])
    path = f"/internal/agents/{agent['id']}/tools"

    listed = await client.get(path, headers=owner.headers)

    parameters = {"type": "object", "properties": {}}
    told = {"description": "Says.", "parameters": parameters, "needs_approval": True, "timeout_seconds": 20.0}
    assert listed.json() == {"tools": [{"name": "named"} | told]}
    for name in ("other", "none", "vectors.search", "named.inner"):
        refused = await called(client, owner, agent, name, {})
        assert (refused.status_code, refused.json()["code"]) == (404, "agents.tool_not_found")
    stranger = await register_user()
    assert (await client.get(path, headers=stranger.headers)).json()["code"] == "agents.not_found"
    assert (await called(client, stranger, agent, "named", {})).json()["code"] == "agents.not_found"


async def test_calling_takes_the_scope_of_a_conversation(
    client: httpx.AsyncClient, owner: User, create: Create, register_user: RegisterUser
) -> None:
    agent = await create("Knower", by=owner)
    reader = await register_user(scope="agents:read chat:read")

    assert (await called(client, reader, agent, "any", {})).status_code == 403
    assert (await client.post(f"/internal/agents/{agent['id']}/tools/any/call", json={})).status_code == 401
