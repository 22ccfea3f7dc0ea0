"""The history of an agent: read, compared, gone back in."""

import asyncio
from typing import Any

import httpx
import pytest
from neo4j import AsyncManagedTransaction

from services.agents.domain import KEPT_VERSIONS
from services.agents.graph import Graph
from shared.schemas import new_id
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import User
from tests.services.agents.conftest import AGENTS, PATIENT, Create
from tests.services.agents.planting import plant

FIRST: dict[str, Any] = {
    "description": "Reads invoices.",
    "model": "m1",
    "capabilities": ["invoices", "email"],
    "knowledge": ["invoices-2025"],
    "metadata": {"team": "finance", "tier": 1},
}
SECOND: dict[str, Any] = {
    "description": None,
    "capabilities": ["email", "sums"],
    "history": "summarise",
    "metadata": {"tier": 1.0, "public": True},
}


@pytest.fixture
async def agent(client: httpx.AsyncClient, user: User, create: Create) -> dict[str, Any]:
    """One with two versions, as it is at the first."""
    made = await create(f"Versioned {new_id()}x", **FIRST)
    await change(client, user, made, **SECOND)
    return made


async def change(client: httpx.AsyncClient, user: User, agent: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = await client.patch(f"{AGENTS}/{agent['id']}", json=fields, headers=user.headers)
    return dict(answer.raise_for_status().json())


async def read(client: httpx.AsyncClient, user: User, path: str, **params: Any) -> Any:
    answer = await client.get(f"{AGENTS}/{path}", params=params, headers=user.headers)
    return answer.raise_for_status().json()


async def test_a_history_is_paged_newest_first(client: httpx.AsyncClient, user: User, agent: dict[str, Any]) -> None:
    for number in range(3):
        await change(client, user, agent, model=f"other-{number}")
    path = f"{agent['id']}/versions"

    first = await read(client, user, path, limit=3)
    second = await read(client, user, path, limit=3, cursor=first["next_cursor"])

    assert [entry["version"] for entry in first["items"] + second["items"]] == [5, 4, 3, 2, 1]
    assert second["next_cursor"] is None
    assert second["items"][-1] == {
        "version": 1,
        "name": agent["name"],
        "created_at": agent["created_at"],
        "created_by": user.user_id,
    }


async def test_a_version_is_what_the_agent_was(client: httpx.AsyncClient, user: User, agent: dict[str, Any]) -> None:
    version = await read(client, user, f"{agent['id']}/versions/1")

    assert version == {
        **{name: value for name, value in agent.items() if name not in ("id", "updated_at")},
        "agent_id": agent["id"],
        "created_by": user.user_id,
    }
    assert [type(value) for value in version["metadata"].values()] == [str, int]


async def test_two_versions_are_compared_field_by_field_and_key_by_key(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any]
) -> None:
    diff = await read(client, user, f"{agent['id']}/versions/2/diff")

    plain = {"added": None, "removed": None}
    assert (diff["version"], diff["against"]) == (2, 1)
    assert diff["changes"] == [
        {"pointer": "/description", "before": "Reads invoices.", "after": None, **plain},
        {
            "pointer": "/capabilities",
            "before": ["invoices", "email"],
            "after": ["email", "sums"],
            "added": ["sums"],
            "removed": ["invoices"],
        },
        {"pointer": "/history", "before": "cut", "after": "summarise", **plain},
        {"pointer": "/metadata/public", "before": None, "after": True, **plain},
        {"pointer": "/metadata/team", "before": "finance", "after": None, **plain},
        {"pointer": "/metadata/tier", "before": 1, "after": 1.0, **plain},
    ]


async def test_any_two_versions_may_be_compared(client: httpx.AsyncClient, user: User, agent: dict[str, Any]) -> None:
    back = await read(client, user, f"{agent['id']}/versions/1/diff", against=2)
    same = await read(client, user, f"{agent['id']}/versions/2/diff", against=2)

    assert [change["after"] for change in back["changes"]][:2] == ["Reads invoices.", ["invoices", "email"]]
    assert same["changes"] == []


async def test_the_first_version_has_none_before_it(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any]
) -> None:
    answer = await client.get(f"{AGENTS}/{agent['id']}/versions/1/diff", headers=user.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "agents.version_not_found")


async def test_restoring_makes_a_version_with_the_old_content(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any]
) -> None:
    path = f"{AGENTS}/{agent['id']}"

    answer = await client.post(f"{path}/versions/1/restore", headers=user.headers)

    assert (answer.status_code, answer.headers["etag"][:3]) == (200, '"3:')
    assert answer.json() == agent | {"version": 3, "updated_at": answer.json()["updated_at"]}
    assert (await client.get(path, headers=user.headers)).json() == answer.json()
    assert (await read(client, user, f"{agent['id']}/versions/3/diff", against=1))["changes"] == []
    assert [found["id"] for found in await of_capability(client, user, "invoices", agent)] == [agent["id"]]


async def of_capability(
    client: httpx.AsyncClient, user: User, capability: str, agent: dict[str, Any]
) -> list[dict[str, Any]]:
    page = await read(client, user, "list", capability=capability, limit=100)
    return [found for found in page["items"] if found["id"] == agent["id"]]


async def test_restoring_what_is_there_makes_no_version(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any]
) -> None:
    answer = await client.post(f"{AGENTS}/{agent['id']}/versions/2/restore", headers=user.headers)

    assert (answer.status_code, answer.json()["version"]) == (200, 2)


async def test_restoring_honours_the_tag(client: httpx.AsyncClient, user: User, agent: dict[str, Any]) -> None:
    path = f"{AGENTS}/{agent['id']}/versions/1/restore"

    stale = await client.post(path, headers=user.headers | {"If-Match": '"1"'})
    current = await client.post(path, headers=user.headers | {"If-Match": '"2"'})

    assert (stale.status_code, stale.json()["code"]) == (412, "common.precondition_failed")
    assert (current.status_code, current.json()["version"]) == (200, 3)


async def test_a_name_that_another_has_by_now_is_not_restored(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any], create: Create
) -> None:
    await change(client, user, agent, name=f"Moved {new_id()}x")
    await create(agent["name"])

    answer = await client.post(f"{AGENTS}/{agent['id']}/versions/1/restore", headers=user.headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "agents.name_taken")
    assert (await read(client, user, agent["id"]))["version"] == 3


async def test_a_repetition_under_its_key_restores_nothing_again(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any]
) -> None:
    path = f"{AGENTS}/{agent['id']}/versions/1/restore"
    headers = user.headers | {"Idempotency-Key": new_id(), "If-Match": '"2"'}
    first = await client.post(path, headers=headers)
    after = await change(client, user, agent, model="m9")

    again = await client.post(path, headers=headers)
    other = await client.post(f"{AGENTS}/{agent['id']}/versions/2/restore", headers=headers)

    assert (first.status_code, first.json()["version"]) == (200, 3)
    assert (again.status_code, again.json()) == (200, after)
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "common.idempotency_key_reused")


async def test_many_at_once_under_one_key_restore_once(
    client: httpx.AsyncClient, service_client: ServiceClient, user: User, agent: dict[str, Any]
) -> None:
    path = f"{AGENTS}/{agent['id']}/versions/1/restore"
    headers = user.headers | {"Idempotency-Key": new_id()}
    async with service_client("agents", **PATIENT) as other:
        answers = await asyncio.gather(*(one.post(path, headers=headers) for one in (client, other) * 4))

    assert {(answer.status_code, answer.json()["version"]) for answer in answers} == {(200, 3)}


async def test_restoring_beside_changes_loses_none(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any]
) -> None:
    path = f"{AGENTS}/{agent['id']}"

    answers = await asyncio.gather(
        *(client.patch(path, json={"model": f"m-{number}"}, headers=user.headers) for number in range(6)),
        *(client.post(f"{path}/versions/{number}/restore", headers=user.headers) for number in (1, 2, 1, 2)),
    )

    assert {answer.status_code for answer in answers} == {200}
    versions = [entry["version"] for entry in (await read(client, user, f"{agent['id']}/versions"))["items"]]
    assert versions == list(range(max(answer.json()["version"] for answer in answers), 0, -1))


@pytest.mark.parametrize(
    ("method", "below"),
    [("GET", "versions"), ("GET", "versions/1"), ("GET", "versions/2/diff"), ("POST", "versions/1/restore")],
)
async def test_a_foreign_history_is_not_found(
    client: httpx.AsyncClient, other_user: User, agent: dict[str, Any], method: str, below: str
) -> None:
    answer = await client.request(method, f"{AGENTS}/{agent['id']}/{below}", headers=other_user.headers)

    assert (answer.status_code, answer.json()["code"]) == (404, "agents.not_found")


@pytest.mark.parametrize("below", ["versions/0", "versions/x", "versions/99999999999", "versions/1/diff?against=0"])
async def test_a_number_that_is_none_is_refused(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any], below: str
) -> None:
    answer = await client.get(f"{AGENTS}/{agent['id']}/{below}", headers=user.headers)

    assert answer.status_code == 422


async def test_a_cursor_belongs_to_one_agents_history(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any], create: Create
) -> None:
    other = await create(f"Another {new_id()}x")
    page = await read(client, user, f"{agent['id']}/versions", limit=1)

    answer = await client.get(
        f"{AGENTS}/{other['id']}/versions", params={"cursor": page["next_cursor"]}, headers=user.headers
    )

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query/cursor")


async def test_the_newest_thousand_are_kept(
    client: httpx.AsyncClient, user: User, agent: dict[str, Any], graph: Graph
) -> None:
    await grow(graph, user, agent, versions=KEPT_VERSIONS + 20)

    changed = await change(client, user, agent, model="newest")

    path = f"{agent['id']}/versions"
    oldest = changed["version"] - KEPT_VERSIONS + 1
    gone = await client.get(f"{AGENTS}/{path}/{oldest - 1}", headers=user.headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "agents.version_not_found")
    assert (await read(client, user, f"{path}/{oldest}"))["version"] == oldest
    assert await count_of_versions(graph, user, agent) == KEPT_VERSIONS


async def grow(graph: Graph, user: User, agent: dict[str, Any], *, versions: int) -> None:
    """As many changes, which a former release kept all."""
    statement = """
        MATCH (a:Agent {id: $id, tenant_id: $tenant_id})-[:HAS_VERSION]->(v:AgentVersion {version: 1})
        WITH a, properties(v) AS content
        UNWIND range(3, $versions) AS number
        CREATE (a)-[:HAS_VERSION]->(v:AgentVersion) SET v = content, v.version = number
        WITH DISTINCT a SET a.version = $versions
    """

    await plant(graph, statement, id=agent["id"], tenant_id=user.tenant_id, versions=versions)


async def count_of_versions(graph: Graph, user: User, agent: dict[str, Any]) -> int:
    statement = "MATCH (v:AgentVersion {tenant_id: $tenant_id, agent_id: $id}) RETURN count(v)"

    async def work(transaction: AsyncManagedTransaction) -> int:
        result = await transaction.run(statement, id=agent["id"], tenant_id=user.tenant_id)
        found: int = (await result.single(strict=True))[0]
        return found

    return await graph.read(work)
