"""Agents over HTTP: created, read, changed, deleted."""

from typing import Any

import httpx
import pytest

from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User
from tests.services.agents.conftest import AGENTS, Create

FULL: dict[str, Any] = {
    "description": "Answers questions about supplier invoices.",
    "instructions": "You answer questions about invoices.",
    "model": "smollm2-135m-instruct",
    "capabilities": ["invoices", "email"],
    "knowledge": ["invoices-2025"],
    "tools": ["vectors.search"],
    "metadata": {"team": "finance", "tier": 1, "ratio": 1.0, "public": False},
}


async def test_an_agent_is_created_with_every_field(client: httpx.AsyncClient, user: User) -> None:
    answer = await client.post(f"{AGENTS}/create", json={"name": "Full"} | FULL, headers=user.headers)

    agent = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{AGENTS}/{agent['id']}"
    assert answer.headers["etag"].startswith('"1:')
    assert agent.items() >= ({"name": "Full", "version": 1} | FULL).items()
    assert agent["created_at"] == agent["updated_at"]
    assert [type(value) for value in agent["metadata"].values()] == [str, int, float, bool]


async def test_the_location_leads_to_what_was_created(client: httpx.AsyncClient, user: User) -> None:
    created = await client.post(f"{AGENTS}/create", json={"name": "Found"} | FULL, headers=user.headers)

    answer = await client.get(created.headers["location"], headers=user.headers)

    assert (answer.status_code, answer.headers["etag"][:3]) == (200, '"1:')
    assert answer.json() == created.json()


async def test_a_patch_makes_a_version_and_leaves_the_rest(
    client: httpx.AsyncClient, user: User, create: Create
) -> None:
    agent = await create("Patched", **FULL)
    changes: dict[str, Any] = {"description": None, "capabilities": ["email", "letters"], "metadata": {}}

    answer = await client.patch(f"{AGENTS}/{agent['id']}", json=changes, headers=user.headers)

    assert (answer.status_code, answer.headers["etag"][:3]) == (200, '"2:')
    assert answer.json() == agent | changes | {"version": 2, "updated_at": answer.json()["updated_at"]}
    assert answer.json()["updated_at"] >= agent["updated_at"]
    assert (await client.get(f"{AGENTS}/{agent['id']}", headers=user.headers)).json() == answer.json()


@pytest.mark.parametrize("changes", [{}, {"capabilities": ["invoices", "email"], "model": FULL["model"]}])
async def test_a_patch_that_changes_nothing_makes_no_version(
    client: httpx.AsyncClient, user: User, create: Create, changes: dict[str, Any]
) -> None:
    agent = await create(f"Same {new_id()[-12:]}", **FULL)

    answer = await client.patch(f"{AGENTS}/{agent['id']}", json=changes, headers=user.headers)

    assert (answer.status_code, answer.json()) == (200, agent)


async def test_a_deleted_agent_is_gone_and_its_name_is_free(
    client: httpx.AsyncClient, user: User, create: Create
) -> None:
    agent = await create("Deleted")

    deleted = await client.delete(f"{AGENTS}/{agent['id']}", headers=user.headers)
    again = await client.delete(f"{AGENTS}/{agent['id']}", headers=user.headers)

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (again.status_code, again.json()["code"]) == (404, "agents.not_found")
    assert (await create("Deleted"))["id"] != agent["id"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_stale_tag_is_refused_without_effect(
    client: httpx.AsyncClient, user: User, create: Create, method: str
) -> None:
    path = f"{AGENTS}/{(await create(f'Tagged {method}'))['id']}"
    await client.patch(path, json={"description": "changed meanwhile"}, headers=user.headers)
    body: dict[str, Any] = {"json": {"description": "lost update"}} if method == "PATCH" else {}

    stale = await client.request(method, path, headers=user.headers | {"If-Match": '"1"'}, **body)

    assert (stale.status_code, stale.json()["code"]) == (412, "common.precondition_failed")
    assert (await client.get(path, headers=user.headers)).json()["description"] == "changed meanwhile"


@pytest.mark.parametrize("tag", ['"1"', '"7", "1"', "*"])
async def test_the_current_tag_is_accepted(client: httpx.AsyncClient, user: User, create: Create, tag: str) -> None:
    path = f"{AGENTS}/{(await create(f'Matched {new_id()}'))['id']}"
    headers = user.headers | {"If-Match": tag}

    changed = await client.patch(path, json={"model": "other"}, headers=headers)
    deleted = await client.delete(path, headers=user.headers | {"If-Match": changed.headers["etag"]})

    assert (changed.status_code, deleted.status_code) == (200, 204)


@pytest.mark.parametrize("name", ["Unique", "UNIQUE", "\uff35nique", "unique\u200b"])
async def test_a_name_is_taken_once(
    client: httpx.AsyncClient, register_user: RegisterUser, create: Create, name: str
) -> None:
    owner = await register_user()
    await create("Unique", by=owner)

    answer = await client.post(f"{AGENTS}/create", json={"name": name, "instructions": "x"}, headers=owner.headers)

    assert (answer.status_code, answer.json()["code"]) == (409, "agents.name_taken")


async def test_a_rename_to_a_taken_name_is_refused_and_to_another_spelling_is_not(
    client: httpx.AsyncClient, user: User, create: Create
) -> None:
    await create("Occupied")
    path = f"{AGENTS}/{(await create('Renamed'))['id']}"

    taken = await client.patch(path, json={"name": "OCCUPIED"}, headers=user.headers)
    spelling = await client.patch(path, json={"name": "RENAMED"}, headers=user.headers)

    assert (taken.status_code, taken.json()["code"]) == (409, "agents.name_taken")
    assert (spelling.status_code, spelling.json()["version"]) == (200, 2)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_foreign_agent_answers_like_a_missing_one(
    client: httpx.AsyncClient, other_user: User, create: Create, method: str
) -> None:
    theirs = f"{AGENTS}/{(await create(f'Foreign {method}'))['id']}"
    missing = f"{AGENTS}/{new_id()}"
    body: dict[str, Any] = {"json": {"name": "Mine now"}} if method == "PATCH" else {}

    answers = [await client.request(method, path, headers=other_user.headers, **body) for path in (theirs, missing)]

    assert [answer.status_code for answer in answers] == [404, 404]
    first, second = (answer.json() | {"instance": "", "trace_id": ""} for answer in answers)
    assert first == second


async def test_two_tenants_may_use_one_name(create: Create, other_user: User) -> None:
    mine, theirs = await create("Shared name"), await create("Shared name", by=other_user)

    assert mine["id"] != theirs["id"]


async def test_a_repeated_create_is_answered_once(client: httpx.AsyncClient, user: User) -> None:
    headers = user.headers | {"Idempotency-Key": new_id()}
    body = {"name": "Repeated", "instructions": "x"}

    first, second = [await client.post(f"{AGENTS}/create", json=body, headers=headers) for _ in range(2)]
    other = await client.post(f"{AGENTS}/create", json=body | {"model": "m"}, headers=headers)

    assert (second.status_code, second.content) == (201, first.content)
    assert second.headers["idempotency-replayed"] == "true"
    assert {second.headers[name] == first.headers[name] for name in ("location", "etag")} == {True}
    assert (other.status_code, other.json()["code"]) == (422, "common.idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "x", "instructions": "x", "colour": "red"}, "/colour"),
        ({"name": "x"}, "/instructions"),
        ({"name": "x", "instructions": "x", "capabilities": ["ok", "Not ok"]}, "/capabilities/1"),
        ({"name": "x", "instructions": "x", "metadata": {"a": {}}}, "/metadata/a"),
        ([], ""),
    ],
)
async def test_a_bad_body_is_refused_with_a_pointer(
    client: httpx.AsyncClient, user: User, body: Any, pointer: str
) -> None:
    answer = await client.post(f"{AGENTS}/create", json=body, headers=user.headers)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_an_id_that_is_none_is_refused(client: httpx.AsyncClient, user: User) -> None:
    answer = await client.get(f"{AGENTS}/not-an-id", headers=user.headers)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "path/id")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "create", "agents:write"),
        ("GET", "list", "agents:read"),
        ("GET", "{id}", "agents:read"),
        ("PATCH", "{id}", "agents:write"),
        ("DELETE", "{id}", "agents:write"),
    ],
)
async def test_every_operation_needs_its_scope(
    client: httpx.AsyncClient, register_user: RegisterUser, method: str, path: str, scope: str
) -> None:
    other = {"agents:read": "agents:write", "agents:write": "agents:read"}[scope]
    limited = await register_user(scope=other)
    url = f"{AGENTS}/{path.format(id=new_id())}"

    forbidden = await client.request(method, url, headers=limited.headers)
    anonymous = await client.request(method, url)

    assert (forbidden.status_code, anonymous.status_code) == (403, 401)
    assert scope in forbidden.json()["detail"]


async def test_chat_finds_an_agent_by_its_name_within_the_tenant(
    client: httpx.AsyncClient, user: User, create: Create, register_user: RegisterUser
) -> None:
    name = f"Found by name {new_id()}"
    agent = await create(name)
    stranger = await register_user()

    found = await client.get("/internal/agents", params={"name": name}, headers=user.headers)
    foreign = await client.get("/internal/agents", params={"name": name}, headers=stranger.headers)
    missing = await client.get("/internal/agents", params={"name": "nobody"}, headers=user.headers)

    assert found.json() == agent
    assert [(one.status_code, one.json()["code"]) for one in (foreign, missing)] == [(404, "agents.not_found")] * 2


async def test_a_name_is_found_only_by_who_may_read_all_agents(
    client: httpx.AsyncClient, create: Create, register_user: RegisterUser
) -> None:
    agent = await create(f"Unseen {new_id()}")
    other = await register_user(scope="chat:write")

    answer = await client.get("/internal/agents", params={"name": agent["name"]}, headers=other.headers)

    assert answer.status_code == 403
