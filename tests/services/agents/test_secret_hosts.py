"""A secret is sent to its hosts, and to nobody else: when a tool is defined, and when it is called."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from neo4j import AsyncManagedTransaction

from local.suite import Suite
from services.agents.graph import Graph
from tests.fixtures.apps import open_service
from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS, Create
from tests.services.agents.test_calls import called, echoed
from tests.services.agents.test_secrets import SECRETS, write
from tests.services.agents.toolbox import TOOLBOX, serving


@pytest.fixture(scope="module")
async def shared_app(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["neo4j", "redis-cache"])
    async with open_service(suite, is_watched=False)(
        "agents", outbound_allow="127.0.0.1,127.0.0.2,inside.example"
    ) as client:
        yield client


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without secrets."""
    return await register_user()


async def define(client: httpx.AsyncClient, user: User, url: str, kind: str = "http") -> httpx.Response:
    own = {"description": "x"} if kind == "http" else {"allow": ["add"]}
    body = {"kind": kind, "url": url, "headers": {"X-Key": "${secret:KEY}"}} | own
    return await client.put(f"{AGENTS}/tools/tool", json=body, headers=user.headers)


@pytest.mark.parametrize(
    ("hosts", "url", "is_taken"),
    [
        (["api.example.com"], "https://api.example.com/v1", True),
        (["API.example.com"], "https://Api.Example.COM:8443/?a=b", True),
        (["a.example", "api.example.com"], "https://api.example.com", True),
        (["*.example.com"], "https://api.example.com/", True),
        (["*.example.com"], "https://eu.api.example.com/", True),
        (["1.1.1.1"], "https://1.1.1.1/", True),
        (["2606:4700::1111"], "https://[2606:4700::1111]/", True),
        (["*.example.com"], "https://example.com/", False),
        (["*.example.com"], "https://evilexample.com/", False),
        (["*.example.com"], "https://api.example.com.evil.example/", False),
        (["api.example.com"], "https://evil.example/api.example.com", False),
        (["api.example.com"], "https://www.api.example.com/", False),
        (["api.example.com"], "https://api.example.com./", False),
    ],
)
@pytest.mark.parametrize("kind", ["http", "mcp"])
async def test_a_tool_carries_a_secret_to_its_hosts_only(
    client: httpx.AsyncClient, owner: User, hosts: list[str], url: str, is_taken: bool, kind: str
) -> None:
    assert (await write(client, owner, "KEY", hosts=hosts)).status_code == 201

    answer = await define(client, owner, url, kind)

    assert answer.status_code == (201 if is_taken else 422), answer.text
    if not is_taken:
        assert (answer.json()["code"], answer.json()["errors"][0]["pointer"]) == (
            "agents.secret_elsewhere",
            "/headers/X-Key",
        )


@pytest.mark.parametrize(
    ("host", "url", "is_taken"),
    [
        ("api.example.com", "http://api.example.com/", False),
        ("api.example.com", "HTTP://API.example.com:8080/", False),
        ("1.1.1.1", "http://1.1.1.1/", False),
        ("127.0.0.1", "http://127.0.0.1/", True),
        ("inside.example", "http://inside.example/", True),
        ("a.inside.example", "http://a.inside.example/", False),
    ],
)
@pytest.mark.parametrize("kind", ["http", "mcp"])
async def test_a_secret_is_sent_in_the_open_only_where_the_operator_says_so(
    client: httpx.AsyncClient, owner: User, host: str, url: str, is_taken: bool, kind: str
) -> None:
    assert (await write(client, owner, "KEY", hosts=[host])).status_code == 201

    answer = await define(client, owner, url, kind)

    assert answer.status_code == (201 if is_taken else 422), answer.text
    if not is_taken:
        assert answer.json()["code"] == "agents.secret_unencrypted"
        assert answer.json()["errors"][0]["pointer"] == "/headers/X-Key"


@pytest.mark.parametrize(
    "hosts",
    [
        *(
            [],
            None,
            ["a.example", "a.example"],
            ["a.example", "A.example"],
            [f"h{number}.example" for number in range(21)],
        ),
        *(["https://a.example"], ["a.example:443"], ["a.example/x"], ["u@a.example"], ["a b"], [""], ["x" * 256]),
        *(["*"], ["*.com"], ["*.com."], ["*.*.example.com"], ["a.*.example"], ["*.1.1.1.1"], ["*.::1"], ["*a.example"]),
        *(["bücher.example"], ["127.1"], ["0x7f000001"], ["0:0:0:0:0:0:0:1"], ["[::1]"]),
    ],
    ids=str,
)
async def test_hosts_that_cannot_be_meant_are_refused(client: httpx.AsyncClient, owner: User, hosts: Any) -> None:
    refused = await client.put(f"{SECRETS}/KEY", json={"value": "long-enough", "hosts": hosts}, headers=owner.headers)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"].split("/")[1]) == (422, "hosts")


async def test_a_secret_without_hosts_is_not_written(client: httpx.AsyncClient, owner: User) -> None:
    refused = await client.put(f"{SECRETS}/KEY", json={"value": "long-enough"}, headers=owner.headers)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/hosts")


async def test_hosts_that_were_taken_away_get_it_no_more(
    client: httpx.AsyncClient, owner: User, create: Create
) -> None:
    async with serving(TOOLBOX) as address:
        await write(client, owner, "KEY", hosts=["127.0.0.1"])
        (await define(client, owner, f"{address}/echo")).raise_for_status()
        agent = await create("Caller", by=owner, tools=["tool"])
        before = echoed(await called(client, owner, agent, "tool", {}))

        await write(client, owner, "KEY", hosts=["127.0.0.2"])
        after = (await called(client, owner, agent, "tool", {})).json()

    assert before["headers"]["x-key"] == "[KEY]"
    assert (after["is_error"], after["content"]) == (True, "The secret KEY may not be sent where the tool leads.")


async def test_a_secret_of_a_former_release_goes_on_with_a_warning(
    client: httpx.AsyncClient, owner: User, create: Create, graph: Graph
) -> None:
    await write(client, owner, "KEY", hosts=["127.0.0.2"])
    await without_hosts(graph, owner)
    async with serving(TOOLBOX) as address:
        (await define(client, owner, f"{address}/echo")).raise_for_status()
        agent = await create("Caller", by=owner, tools=["tool"])

        sent = echoed(await called(client, owner, agent, "tool", {}))
    [listed] = (await client.get(SECRETS, headers=owner.headers)).json()["items"]

    assert sent["headers"]["x-key"] == "[KEY]"
    assert (listed["hosts"], "any host" in listed["warning"]) == (None, True)


async def without_hosts(graph: Graph, user: User) -> None:
    async def work(transaction: AsyncManagedTransaction) -> None:
        statement = "MATCH (s:ToolSecret {tenant_id: $tenant_id}) REMOVE s.hosts"
        await (await transaction.run(statement, tenant_id=user.tenant_id)).consume()

    await graph.write(work)
