"""Tools that a tenant defines, and the agents that name them."""

import asyncio
from typing import Any

import httpx
import pytest

from services.agents.graph import Graph
from services.agents.tools.domain import BUILT_IN
from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS, Create
from tests.services.agents.planting import plant

TOOLS = f"{AGENTS}/tools"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
HTTP: dict[str, Any] = {
    "kind": "http",
    "description": "The weather of a city.",
    "method": "GET",
    "url": "https://weather.example.com/v1/{city}",
    "parameters": PARAMETERS,
}
MCP: dict[str, Any] = {"kind": "mcp", "url": "https://mcp.example.com/mcp", "allow": ["search_issues", "read"]}


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without tools."""
    return await register_user()


async def define(client: httpx.AsyncClient, user: User, name: str, body: Any = HTTP, **headers: str) -> httpx.Response:
    return await client.put(f"{TOOLS}/{name}", json=body, headers=user.headers | headers)


async def test_a_tool_is_defined_and_read_as_it_was_written(client: httpx.AsyncClient, owner: User) -> None:
    for name, body in (("weather", HTTP), ("github", MCP)):
        made = await define(client, owner, name, body)

        read = await client.get(f"{TOOLS}/{name}", headers=owner.headers)

        assert (made.status_code, made.headers["location"]) == (201, f"{TOOLS}/{name}")
        assert (read.json(), read.headers["etag"]) == (made.json(), made.headers["etag"])
        assert read.json().items() >= (body | {"name": name, "timeout_seconds": 20.0, "needs_approval": False}).items()


async def test_a_change_has_another_tag_and_the_same_again_has_not(client: httpx.AsyncClient, owner: User) -> None:
    first, same = await define(client, owner, "weather"), await define(client, owner, "weather")
    tag = first.headers["etag"]

    changed = await define(client, owner, "weather", HTTP | {"needs_approval": True}, **{"If-Match": tag})
    late = await define(client, owner, "weather", HTTP, **{"If-Match": tag})
    nowhere = await define(client, owner, "other", HTTP, **{"If-Match": tag})

    assert (same.status_code, same.headers["etag"]) == (200, tag)
    assert (changed.status_code, changed.json()["needs_approval"]) == (200, True)
    assert (late.status_code, nowhere.status_code) == (412, 412)


@pytest.mark.parametrize(("was", "becomes"), [(1, True), (1, 1.0), ("a", "b")])
async def test_another_value_is_a_change_though_python_calls_it_equal(
    client: httpx.AsyncClient, owner: User, was: Any, becomes: Any
) -> None:
    def having(const: Any) -> dict[str, Any]:
        return HTTP | {"parameters": PARAMETERS | {"properties": {"city": {"const": const}}}}

    first = await define(client, owner, "weather", having(was))
    second = await define(client, owner, "weather", having(becomes))

    assert second.headers["etag"] != first.headers["etag"]
    assert repr(second.json()["parameters"]["properties"]["city"]["const"]) == repr(becomes)


async def test_the_list_has_what_is_built_in_among_what_is_defined(client: httpx.AsyncClient, owner: User) -> None:
    await define(client, owner, "weather")
    await define(client, owner, "github", MCP)

    found, cursor = [], None
    while cursor or not found:
        page = await client.get(
            TOOLS, params={"limit": 2} | ({"cursor": cursor} if cursor else {}), headers=owner.headers
        )
        found += page.json()["items"]
        cursor = page.json()["next_cursor"]

    assert [tool["name"] for tool in found] == sorted([*BUILT_IN, "weather", "github"])
    assert {tool["name"] for tool in found if tool["kind"] == "built_in"} == BUILT_IN
    read = await client.get(f"{TOOLS}/vectors.search", headers=owner.headers)
    assert (read.status_code, read.json()["kind"], read.json()["url"]) == (200, "built_in", None)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "https://{city}.example.com/"}, "/url"),
        ({"url": "https://example.com:{city}/"}, "/url"),
        ({"url": "{city}"}, "/url"),
        ({"url": "ftp://example.com/{city}"}, "/url"),
        ({"url": "https://user:word@example.com/{city}"}, "/url"),
        ({"url": "https://example.com/{city}{"}, "/url"),
        ({"url": "http://2130706433/{city}"}, "/url"),
        ({"url": "https://example.com:22/{city}"}, "/url"),
        ({"url": "https://example.com/{town}"}, ""),
        ({"parameters": PARAMETERS | {"required": []}}, ""),
        ({"method": "POST", "body": ["town"]}, ""),
        ({"body": ["city"]}, ""),
        ({"method": "POST", "body": ["city"]}, ""),
        ({"method": "TRACE"}, "/method"),
        ({"parameters": {"type": "array"}}, "/parameters"),
        (
            {"parameters": {"type": "object", "properties": {"city": {"$ref": "https://example.com/"}}}},
            "/parameters",
        ),
        ({"parameters": {"type": "object", "properties": {"city": {"type": "text"}}}}, "/parameters"),
        ({"parameters": PARAMETERS | {"description": "x" * 17_000}}, "/parameters"),
        ({"parameters": PARAMETERS | {"maxProperties": 2**70}}, "/parameters"),
        ({"url": "https://example.com/?city=x"}, ""),
        ({"headers": {"Host": "x"}}, "/headers"),
        ({"headers": {"X": "a\r\nb: c"}}, "/headers"),
        ({"headers": {"Authorization": "Bearer in-the-open"}}, "/headers"),
        ({"headers": {"Authorization": "Bearer plain ${secret:K}"}}, "/headers"),
        ({"headers": {"Authorization": "Bearer ${secret:K} plain"}}, "/headers"),
        ({"headers": {"x-api-key": "plain${secret:K}"}}, "/headers"),
        ({"headers": {"X": "${secret:my-key}"}}, "/headers"),
        ({"headers": {"X": "${secret:K} ${SECRET:K}"}}, "/headers"),
        ({"headers": {"X": "${secret:K"}}, "/headers"),
        ({"headers": {"a": "1", "A": "2"}}, "/headers"),
        ({"headers": {"X": "".join(f"${{secret:K{number}}}" for number in range(17))}}, "/headers"),
        ({"headers": {"X": "".join(f"${{secret:K{number}}}" for number in range(16))}}, "/headers/X"),  # there is none
        ({"headers": {"X": "${secret:NONE}"}}, "/headers/X"),
        ({"timeout_seconds": 51}, "/timeout_seconds"),
        ({"description": ""}, "/description"),
        ({"allow": ["x"]}, "/allow"),
        ({"kind": "shell"}, "/kind"),
    ],
)
async def test_a_definition_that_cannot_be_meant_is_refused(
    client: httpx.AsyncClient, owner: User, change: dict[str, Any], pointer: str
) -> None:
    refused = await define(client, owner, "weather", HTTP | change)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await client.get(f"{TOOLS}/weather", headers=owner.headers)).status_code == 404


@pytest.mark.parametrize(
    "text",
    [
        *("${secret:K}", "Bearer ${secret:K}", "Token token=${secret:K}", 'Token token="${secret:K}"'),
        *("Bearer ${secret:K}.${secret:L}", "Api-Key ${secret:K}:${secret:L}"),
    ],
)
async def test_a_credential_is_a_secret_after_its_scheme(client: httpx.AsyncClient, owner: User, text: str) -> None:
    for secret in ("K", "L"):
        await client.put(
            f"{AGENTS}/secrets/{secret}",
            json={"value": "long-enough", "hosts": ["weather.example.com", "example.com"]},
            headers=owner.headers,
        )

    made = await define(client, owner, "weather", HTTP | {"headers": {"Authorization": text}})

    assert (made.status_code, made.json()["headers"]) == (201, {"Authorization": text})


@pytest.mark.parametrize("change", [{"allow": []}, {"allow": ["a", "a"]}, {"allow": ["a/b"]}, {"url": "https://a/{b}"}])
async def test_a_server_that_cannot_be_meant_is_refused(
    client: httpx.AsyncClient, owner: User, change: dict[str, Any]
) -> None:
    assert (await define(client, owner, "github", MCP | change)).status_code == 422


@pytest.mark.parametrize("name", ["vectors.search", "a.b", "x" * 65, "a b"])
async def test_a_name_that_is_taken_or_none_is_refused(client: httpx.AsyncClient, owner: User, name: str) -> None:
    assert (await define(client, owner, name)).status_code in (404, 422)


@pytest.mark.parametrize("name", sorted({name.partition(".")[0] for name in BUILT_IN}))
async def test_a_name_that_begins_what_is_built_in_is_refused(
    client: httpx.AsyncClient, owner: User, name: str
) -> None:
    refused = await define(client, owner, name, MCP)

    [problem] = refused.json()["errors"]
    assert (refused.status_code, problem["pointer"], problem["code"]) == (422, "path/name", "tool_name_reserved")


async def test_a_definition_of_before_that_begins_what_is_built_in_can_be_deleted(
    client: httpx.AsyncClient, owner: User, create: Create, graph: Graph
) -> None:
    await define(client, owner, "other", MCP)
    await create("Submitter", by=owner, tools=["tasks.submit"])
    await plant(graph, "MATCH (t:ToolDefinition {tenant_id: $id}) SET t.name = 'tasks'", id=owner.tenant_id)

    assert (await client.delete(f"{TOOLS}/tasks", headers=owner.headers)).status_code == 204


@pytest.mark.parametrize("name", ["graph", "versions", "export", "relations"])
async def test_a_tool_may_have_the_name_of_a_part_of_an_agent(
    client: httpx.AsyncClient, owner: User, name: str
) -> None:
    assert (await define(client, owner, name)).status_code == 201
    assert (await client.get(f"{TOOLS}/{name}", headers=owner.headers)).json()["name"] == name


async def test_a_tool_of_a_stranger_is_not_there(
    client: httpx.AsyncClient, owner: User, register_user: RegisterUser
) -> None:
    stranger = await register_user()
    await define(client, owner, "weather")

    assert (await client.get(f"{TOOLS}/weather", headers=stranger.headers)).status_code == 404
    assert (await client.delete(f"{TOOLS}/weather", headers=stranger.headers)).status_code == 404
    names = [tool["name"] for tool in (await client.get(TOOLS, headers=stranger.headers)).json()["items"]]
    assert names == sorted(BUILT_IN)


async def test_an_agent_names_what_is_there(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    await define(client, owner, "weather")
    await define(client, owner, "github", MCP)
    tools = ["vectors.search", "weather", "github", "github.read"]

    agent = await create("Knower", by=owner, tools=tools)

    assert agent["tools"] == tools


@pytest.mark.parametrize("unknown", ["none", "weather.inner", "github.other", "vectors", "vectors.other"])
async def test_what_is_not_there_is_refused_by_its_place(
    client: httpx.AsyncClient, owner: User, create: Create, unknown: str
) -> None:
    await define(client, owner, "weather")
    await define(client, owner, "github", MCP)
    agent = await create("Knower", by=owner, tools=["weather"])
    body = {"name": "Other", "instructions": "x", "tools": ["weather", unknown]}

    made = await client.post(f"{AGENTS}/create", json=body, headers=owner.headers)
    changed = await client.patch(f"{AGENTS}/{agent['id']}", json={"tools": ["weather", unknown]}, headers=owner.headers)

    for refused in (made, changed):
        assert (refused.status_code, refused.json()["code"]) == (422, "agents.tool_unknown")
        [problem] = refused.json()["errors"]
        assert (problem["pointer"], problem["code"]) == ("/tools/1", "tool_unknown")
        assert unknown in problem["detail"]


async def test_a_tool_that_an_agent_names_stays(client: httpx.AsyncClient, owner: User, create: Create) -> None:
    await define(client, owner, "github", MCP)
    agent = await create("Knower", by=owner, tools=["github.read"])

    refused = await client.delete(f"{TOOLS}/github", headers=owner.headers)

    assert (refused.status_code, refused.json()["code"]) == (409, "agents.tool_in_use")
    assert "'Knower'" in refused.json()["detail"]
    await client.patch(f"{AGENTS}/{agent['id']}", json={"tools": []}, headers=owner.headers)
    deleted, missing = [await client.delete(f"{TOOLS}/github", headers=owner.headers) for _ in range(2)]
    assert (deleted.status_code, missing.status_code) == (204, 404)
    back = await client.post(f"{AGENTS}/{agent['id']}/versions/1/restore", headers=owner.headers)
    assert (back.status_code, back.json()["errors"][0]["pointer"]) == (422, "path/version")


@pytest.mark.parametrize("change", [MCP | {"allow": ["search_issues"]}, HTTP])
async def test_a_server_keeps_the_tools_that_agents_name(
    client: httpx.AsyncClient, owner: User, create: Create, change: dict[str, Any]
) -> None:
    await define(client, owner, "github", MCP)
    agent = await create("Knower", by=owner, tools=["github", "github.read"])

    refused = await define(client, owner, "github", change)
    other = await define(client, owner, "github", MCP | {"allow": ["read"]})
    await client.patch(f"{AGENTS}/{agent['id']}", json={"tools": ["github"]}, headers=owner.headers)

    assert (refused.status_code, refused.json()["code"], other.status_code) == (409, "agents.tool_in_use", 200)
    assert "'Knower'" in refused.json()["detail"]
    assert (await define(client, owner, "github", change)).status_code == 200


async def test_no_tool_of_a_server_goes_away_under_an_agent_that_is_being_made(
    client: httpx.AsyncClient, owner: User
) -> None:
    for number in range(6):
        await define(client, owner, "github", MCP)
        body = {"name": f"Racer {number}", "instructions": "x", "tools": ["github.read"]}

        made, narrowed = await asyncio.gather(
            client.post(f"{AGENTS}/create", json=body, headers=owner.headers),
            define(client, owner, "github", MCP | {"allow": ["search_issues"]}),
        )

        assert (made.status_code, narrowed.status_code) in {(201, 409), (422, 200)}
        if made.status_code == 201:
            await client.delete(f"{AGENTS}/{made.json()['id']}", headers=owner.headers)


async def test_no_tool_goes_away_under_an_agent_that_is_being_made(client: httpx.AsyncClient, owner: User) -> None:
    for number in range(8):
        await define(client, owner, "weather")
        body = {"name": f"Racer {number}", "instructions": "x", "tools": ["weather"]}

        made, deleted = await asyncio.gather(
            client.post(f"{AGENTS}/create", json=body, headers=owner.headers),
            client.delete(f"{TOOLS}/weather", headers=owner.headers),
        )

        assert (made.status_code, deleted.status_code) in {(201, 409), (422, 204)}
        if made.status_code == 201:
            await client.delete(f"{AGENTS}/{made.json()['id']}", headers=owner.headers)


async def test_an_agent_of_before_is_changed_without_its_tools_being_there(
    client: httpx.AsyncClient, owner: User, create: Create, graph: Graph
) -> None:
    agent = await create("Old", by=owner)
    await plant(
        graph,
        "MATCH (a:Agent {id: $id, tenant_id: $tenant_id}) SET a.tools = ['http_get']",
        id=agent["id"],
        tenant_id=owner.tenant_id,
    )

    changed = await client.patch(f"{AGENTS}/{agent['id']}", json={"name": "New"}, headers=owner.headers)

    assert (changed.status_code, changed.json()["tools"]) == (200, ["http_get"])


async def test_a_narrowed_key_opens_no_tool_and_no_secret(
    client: httpx.AsyncClient, owner: User, register_user: RegisterUser
) -> None:
    narrowed = await register_user(scope="agents:weather:read agents:weather:write")

    answers = [
        await client.get(f"{TOOLS}/weather", headers=narrowed.headers),
        await define(client, narrowed, "weather"),
        await client.put(f"{AGENTS}/secrets/weather", json={"value": "x"}, headers=narrowed.headers),
    ]

    assert {answer.status_code for answer in answers} == {403}


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [("_", False), ("__-_", False), ("_-", False), ("a" * 65, False), ("_a", True), ("_-7-", True), ("a" * 64, True)],
)
async def test_a_name_has_a_letter_or_a_digit(
    client: httpx.AsyncClient, owner: User, name: str, is_taken: bool
) -> None:
    answer = await define(client, owner, name)

    assert answer.status_code == (201 if is_taken else 422), answer.text
    if not is_taken:
        assert answer.json()["errors"][0]["pointer"] == "path/name"


@pytest.mark.parametrize(("inner", "is_taken"), [("_", False), ("_._", False), ("_.a", True), ("a.b-c", True)])
async def test_so_has_a_tool_of_a_server(client: httpx.AsyncClient, owner: User, inner: str, is_taken: bool) -> None:
    answer = await define(client, owner, "github", MCP | {"allow": [inner]})

    assert answer.status_code == (201 if is_taken else 422), answer.text
