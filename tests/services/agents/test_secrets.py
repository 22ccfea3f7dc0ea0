"""Credentials of tools: written, listed by name, sealed in the graph, never read back."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from neo4j import AsyncManagedTransaction

from local.suite import Suite
from services.agents.graph import Graph
from services.agents.secrets.domain import MOST_SECRETS
from shared.sealing import Seal
from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS

SECRETS = f"{AGENTS}/secrets"
HOSTS = ("example.com",)
TOOL = {"kind": "http", "description": "x", "url": "https://example.com/", "headers": {"X-Key": "${secret:KEY}"}}


@pytest.fixture
async def owner(register_user: RegisterUser) -> User:
    """A tenant without secrets."""
    return await register_user()


async def write(
    client: httpx.AsyncClient, user: User, name: str, value: str = "v-0815-secret", hosts: Sequence[str] = HOSTS
) -> httpx.Response:
    body = {"value": value, "hosts": list(hosts)}
    return await client.put(f"{SECRETS}/{name}", json=body, headers=user.headers)


async def rows(graph: Graph, tenant_id: str) -> list[dict[str, Any]]:
    async def work(transaction: AsyncManagedTransaction) -> list[dict[str, Any]]:
        statement = "MATCH (s:ToolSecret {tenant_id: $tenant_id}) RETURN properties(s) AS secret ORDER BY s.name"
        return [row["secret"] async for row in await transaction.run(statement, tenant_id=tenant_id)]

    return await graph.read(work)


async def test_a_secret_is_listed_and_not_shown(client: httpx.AsyncClient, owner: User) -> None:
    made, again = await write(client, owner, "KEY"), await write(client, owner, "KEY", "another-value")

    listed = await client.get(SECRETS, headers=owner.headers)

    assert (made.status_code, again.status_code, made.content, again.content) == (201, 204, b"", b"")
    [secret] = listed.json()["items"]
    assert secret.keys() == {"name", "hosts", "warning", "created_at", "updated_at"}
    assert (secret["name"], secret["hosts"], secret["warning"]) == ("KEY", ["example.com"], None)
    assert secret["created_at"] < secret["updated_at"]
    assert (await client.get(f"{SECRETS}/KEY", headers=owner.headers)).status_code == 405


async def test_a_secret_is_sealed_for_its_place(
    client: httpx.AsyncClient, owner: User, graph: Graph, suite: Suite
) -> None:
    await write(client, owner, "KEY")

    [row] = await rows(graph, owner.tenant_id)

    key = Seal(suite.environment("agents")["SECRET_ENCRYPTION_KEY"])
    assert "v-0815-secret" not in str(row)
    assert key.open(owner.tenant_id, "KEY", row["sealed"]) == "v-0815-secret"
    assert key.open(owner.tenant_id, "OTHER", row["sealed"]) is None
    assert key.open("another", "KEY", row["sealed"]) is None


async def test_a_page_follows_the_names(client: httpx.AsyncClient, owner: User) -> None:
    for name in ("C", "A", "B"):
        await write(client, owner, name)

    first = (await client.get(SECRETS, params={"limit": 2}, headers=owner.headers)).json()
    rest = await client.get(SECRETS, params={"cursor": first["next_cursor"]}, headers=owner.headers)

    assert [secret["name"] for secret in first["items"] + rest.json()["items"]] == ["A", "B", "C"]
    assert rest.json()["next_cursor"] is None


@pytest.mark.parametrize(
    "value", ["", "seven-7", "secret-ä", "secret\x00b", "secret\r\nX: y", " secret-b", "secret-b ", "x" * 8193, None]
)
async def test_a_value_out_of_bounds_is_refused_and_not_echoed(
    client: httpx.AsyncClient, owner: User, value: Any
) -> None:
    body = {"value": value, "hosts": ["example.com"]}
    refused = await client.put(f"{SECRETS}/KEY", json=body, headers=owner.headers)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/value"
    assert str(value or "\x00") not in refused.text
    assert (await client.get(SECRETS, headers=owner.headers)).json()["items"] == []


@pytest.mark.parametrize("name", ["9A", "a-b", "a.b", "a b", "x" * 65])
async def test_a_name_that_no_header_can_hold_is_refused(client: httpx.AsyncClient, owner: User, name: str) -> None:
    assert (await write(client, owner, name)).status_code == 422


async def test_a_tenant_has_a_hundred_even_when_two_write_at_once(
    client: httpx.AsyncClient, owner: User, graph: Graph
) -> None:
    async def plant(transaction: AsyncManagedTransaction) -> None:
        statement = """
            UNWIND range(2, $most) AS number
            CREATE (:ToolSecret {tenant_id: $tenant_id, name: 'S' + number, sealed: '', created_at: datetime(),
                                 updated_at: datetime()})
        """
        await (await transaction.run(statement, most=MOST_SECRETS, tenant_id=owner.tenant_id)).consume()

    await graph.write(plant)

    answers = await asyncio.gather(*(write(client, owner, name) for name in ("ONE", "TWO")))

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    [refused] = [answer for answer in answers if answer.status_code == 409]
    assert refused.json()["code"] == "agents.too_many_secrets"
    assert (await write(client, owner, "S2")).status_code == 204  # one that is there may still be written


async def test_a_secret_that_a_tool_names_stays(client: httpx.AsyncClient, owner: User) -> None:
    await write(client, owner, "KEY")
    (await client.put(f"{AGENTS}/tools/weather", json=TOOL, headers=owner.headers)).raise_for_status()

    refused = await client.delete(f"{SECRETS}/KEY", headers=owner.headers)

    assert (refused.status_code, refused.json()["code"]) == (409, "agents.secret_in_use")
    assert "'weather'" in refused.json()["detail"]
    (await client.delete(f"{AGENTS}/tools/weather", headers=owner.headers)).raise_for_status()
    deleted, missing = [await client.delete(f"{SECRETS}/KEY", headers=owner.headers) for _ in range(2)]
    assert (deleted.status_code, missing.status_code) == (204, 404)


async def test_no_secret_goes_away_under_a_tool_that_is_being_defined(client: httpx.AsyncClient, owner: User) -> None:
    for number in range(8):
        await write(client, owner, "KEY")
        tool = f"{AGENTS}/tools/t{number}"

        defined, deleted = await asyncio.gather(
            client.put(tool, json=TOOL, headers=owner.headers), client.delete(f"{SECRETS}/KEY", headers=owner.headers)
        )

        assert (defined.status_code, deleted.status_code) in {(201, 409), (422, 204)}
        await client.delete(tool, headers=owner.headers)


async def test_who_only_reads_writes_no_secret(client: httpx.AsyncClient, register_user: RegisterUser) -> None:
    reader = await register_user(scope="agents:read")

    assert (await write(client, reader, "KEY")).status_code == 403
    assert (await client.delete(f"{SECRETS}/KEY", headers=reader.headers)).status_code == 403
    assert (await client.get(SECRETS, headers=reader.headers)).status_code == 200


async def test_a_secret_of_a_stranger_is_not_there(
    client: httpx.AsyncClient, owner: User, register_user: RegisterUser
) -> None:
    stranger = await register_user()
    await write(client, owner, "KEY")

    assert (await client.get(SECRETS, headers=stranger.headers)).json()["items"] == []
    assert (await client.delete(f"{SECRETS}/KEY", headers=stranger.headers)).status_code == 404
    refused = await client.put(f"{AGENTS}/tools/weather", json=TOOL, headers=stranger.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "agents.secret_unknown")
    assert refused.json()["errors"][0]["pointer"] == "/headers/X-Key"
