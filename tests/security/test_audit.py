"""S23: what is done in any service is in the audit log of its tenant, with both names, and the chain is unbroken."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from services.auth.trust.audit.log import AuditLog
from services.auth.trust.audit.verification import verify
from shared.postgres import open_database
from shared.schemas import new_id
from tests.fixtures.identity import RegisterUser, User, service_headers
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.security.conftest import EVERY_SCOPE, LogIn, api_key
from tests.security.spec import FOR_ADMINS

OWN = "/api/v1/auth/tenant/audit"
Headers = dict[str, str]
Do = Callable[[httpx.AsyncClient, Headers], Awaitable[dict[str, str]]]


async def call(gateway: httpx.AsyncClient, headers: Headers, method: str, path: str, **body: Any) -> dict[str, Any]:
    answer = await gateway.request(method, f"/api/v1/{path}", headers=headers, json=body or None)
    assert answer.is_success, answer.text
    return dict(answer.json()) if answer.content else {}


async def have_an_agent(gateway: httpx.AsyncClient, headers: Headers) -> dict[str, str]:
    made = await call(
        gateway, headers, "POST", "agents/create", name=f"agent {new_id()}", instructions="Answer briefly."
    )
    for name in ("x", "y"):
        await call(gateway, headers, "PATCH", f"agents/{made['id']}", description=name)
    await call(gateway, headers, "POST", f"agents/{made['id']}/versions/1/restore")
    other = await call(gateway, headers, "POST", "agents/create", name=f"agent {new_id()}", instructions="Be brief.")
    relation = f"agents/{made['id']}/relations/delegates_to/{other['id']}"
    for weight in (1.0, 2.0):
        await call(gateway, headers, "PUT", relation, weight=weight)
    await call(gateway, headers, "DELETE", relation)
    document = await call(gateway, headers, "GET", f"agents/{made['id']}/export")
    document["agent"]["name"] = f"copy {new_id()}"
    imported = await call(gateway, headers, "POST", "agents/import", **document)
    await call(gateway, headers, "DELETE", f"agents/{made['id']}")
    done = {f"agent.{done}" for done in ("created", "updated", "restored", "deleted")}
    return dict.fromkeys(done | {f"relation.{done}" for done in ("created", "updated", "deleted")}, made["id"]) | {
        "agent.imported": imported["agent"]["id"]
    }


async def have_a_collection(gateway: httpx.AsyncClient, headers: Headers) -> dict[str, str]:
    name = f"c-{new_id()}"
    items = [{"id": "a", "vector": [1.0, 0.0]}, {"id": "b", "vector": [0.0, 1.0]}]
    await call(gateway, headers, "POST", "vectors/collections", name=name, engine="faiss", dimension=2)
    await call(gateway, headers, "POST", "vectors/store", collection=name, items=items)
    await call(gateway, headers, "DELETE", f"vectors/collections/{name}/records/a")
    await call(gateway, headers, "POST", "vectors/delete", collection=name, ids=["b"])
    other, alias = f"c-{new_id()}", f"a-{new_id()}"
    await call(gateway, headers, "POST", "vectors/collections", name=other, engine="faiss", dimension=2)
    for target in (name, other, other):
        await call(gateway, headers, "PUT", f"vectors/aliases/{alias}", collection=target)
    await call(gateway, headers, "DELETE", f"vectors/aliases/{alias}")
    await call(gateway, headers, "DELETE", f"vectors/collections/{name}")
    collection = {f"collection.{done}": name for done in ("created", "deleted")} | {"record.deleted": name}
    return collection | {f"alias.{done}": alias for done in ("created", "switched", "deleted")}


async def have_a_file(gateway: httpx.AsyncClient, headers: Headers) -> dict[str, str]:
    made = await gateway.post("/api/v1/vectors/files", files={"file": ("a.txt", b"mine")}, headers=headers)
    file_id = str(made.raise_for_status().json()["id"])
    await call(gateway, headers, "DELETE", f"vectors/files/{file_id}")
    return {"file.created": file_id, "file.deleted": file_id}


async def have_a_conversation(gateway: httpx.AsyncClient, headers: Headers) -> dict[str, str]:
    agent = await call(
        gateway, headers, "POST", "agents/create", name=f"agent {new_id()}", instructions="Answer briefly."
    )
    said = await call(gateway, headers, "POST", "chat/message", agent_id=agent["id"], content="Hello.")
    conversation_id = said["conversation_id"]
    await call(gateway, headers, "PATCH", f"chat/conversations/{conversation_id}", title="Another")
    path = f"conversations/conv_{conversation_id}/items"
    item = (await call(gateway, headers, "GET", path))["data"][0]["id"]
    await call(gateway, headers, "DELETE", f"{path}/{item}")
    await call(gateway, headers, "DELETE", f"chat/conversations/{conversation_id}")
    whole = {f"conversation.{done}": conversation_id for done in ("updated", "deleted")}
    return whole | {"message.deleted": item.removeprefix("msg_")}


async def have_a_response(gateway: httpx.AsyncClient, headers: Headers) -> dict[str, str]:
    agent = await call(gateway, headers, "POST", "agents/create", name=f"agent {new_id()}", instructions="Be brief.")
    made = await call(gateway, headers, "POST", "responses", model=agent["id"], input="Hello.")
    await call(gateway, headers, "DELETE", f"responses/{made['id']}")
    return {"response.deleted": made["run_id"]}


async def have_a_run_cancelled(gateway: httpx.AsyncClient, headers: Headers) -> dict[str, str]:
    """While its stream is read. Whoever asks has the model say nothing meanwhile, or it may have ended before."""
    agent = await call(gateway, headers, "POST", "agents/create", name=f"agent {new_id()}", instructions="Count.")
    body = {"agent_id": agent["id"], "content": "Count from one to a hundred."}
    async with gateway.stream("POST", "/api/v1/chat/message", json=body | {"stream": True}, headers=headers) as stream:
        lines = stream.aiter_lines()
        data = await anext(line.removeprefix("data: ") async for line in lines if line.startswith("data: "))
        started = json.loads(data)
        await call(gateway, headers, "POST", f"chat/runs/{started['run_id']}/cancel")
    return {"run.cancelled": started["run_id"]}


async def have_a_task(gateway: httpx.AsyncClient, headers: Headers) -> dict[str, str]:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = {"kind": "echo", "input": {"x": 1}, "run_at": tomorrow}
    task = await call(gateway, headers, "POST", "tasks/submit", **later)
    await call(gateway, headers, "POST", f"tasks/{task['id']}/cancel")
    return {"task.cancelled": task["id"]}


async def have_a_schedule(gateway: httpx.AsyncClient, headers: Headers) -> dict[str, str]:
    made = await call(gateway, headers, "POST", "tasks/schedules", name="mine", kind="echo", cron="0 0 1 1 *")
    path = f"tasks/schedules/{made['id']}"
    await call(gateway, headers, "PATCH", path, name="new")
    await call(gateway, headers, "POST", f"{path}/pause")
    await call(gateway, headers, "POST", f"{path}/resume")
    await call(gateway, headers, "DELETE", path)
    return {f"schedule.{done}": made["id"] for done in ("created", "updated", "paused", "resumed", "deleted")}


async def have_a_webhook(gateway: httpx.AsyncClient, headers: Headers) -> dict[str, str]:
    made = await call(gateway, headers, "POST", "tasks/webhooks", url=f"http://localhost/{new_id()}", events=["task.*"])
    path = f"tasks/webhooks/{made['id']}"
    await call(gateway, headers, "PATCH", path, description="new")
    await call(gateway, headers, "POST", f"{path}/rotate", overlap_seconds=0)
    tried = await call(gateway, headers, "POST", f"{path}/test")
    await call(gateway, headers, "POST", f"{path}/deliveries/{tried['id']}/replay")
    await call(gateway, headers, "DELETE", path)
    return {f"webhook.{done}": made["id"] for done in ("created", "updated", "rotated", "replayed", "deleted")}


async def have_a_dump(gateway: httpx.AsyncClient, headers: Headers) -> dict[str, str]:
    name, copy = f"c-{new_id()}", f"c-{new_id()}"
    await call(gateway, headers, "POST", "vectors/collections", name=name, engine="faiss", dimension=2)
    await call(gateway, headers, "POST", "vectors/store", collection=name, items=[{"id": "a", "vector": [1.0, 0.0]}])
    exported = await result_of(gateway, headers, "vectors.export", collection=name)
    await result_of(gateway, headers, "vectors.import", file_id=exported["file_id"], collection=copy)
    return {"collection.exported": name, "collection.imported": copy}


async def result_of(gateway: httpx.AsyncClient, headers: Headers, kind: str, **given: Any) -> dict[str, Any]:
    """Of a task, when it has succeeded."""
    task = await call(gateway, headers, "POST", "tasks/submit", kind=kind, input=given)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while task["status"] in {"queued", "running"}:
            await asyncio.sleep(0.1)
            task = await call(gateway, headers, "GET", f"tasks/status/{task['id']}")
    assert task["status"] == "succeeded", task["error"]
    return dict(task["result"])


async def entries_of(
    gateway: httpx.AsyncClient, owner: User, wanted: dict[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """The entries about each, when all have come."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = {
                action: await matching(gateway, owner, action=action, target=target)
                for action, target in wanted.items()
            }
            if all(found.values()):
                return found
            await asyncio.sleep(0.1)


async def matching(gateway: httpx.AsyncClient, owner: User, **filters: str) -> list[dict[str, Any]]:
    answer = await gateway.get(OWN, params=filters, headers=owner.headers)
    return list(answer.raise_for_status().json()["items"])


@pytest.mark.parametrize(
    "do",
    [
        have_an_agent,
        have_a_collection,
        have_a_file,
        have_a_conversation,
        have_a_response,
        have_a_task,
        have_a_schedule,
        have_a_webhook,
        have_a_dump,
    ],
)
async def test_what_is_done_elsewhere_arrives_in_the_tenants_log_once(
    gateway: httpx.AsyncClient, register_user: RegisterUser, do: Do
) -> None:
    owner = await register_user()

    done = await do(gateway, owner.headers)

    await are_there_once(gateway, owner, done)


async def test_a_run_that_is_cancelled_arrives_in_the_tenants_log_once(
    gateway: httpx.AsyncClient, suite: Suite, register_user: RegisterUser
) -> None:
    owner = await register_user()

    async with silent(suite, "llm"):
        done = await have_a_run_cancelled(gateway, owner.headers)

    await are_there_once(gateway, owner, done)


@asynccontextmanager
async def silent(suite: Suite, component: str) -> AsyncIterator[None]:
    """It stands still as long as the block lasts."""
    await asyncio.to_thread(suite.freeze, component)
    try:
        yield
    finally:
        await asyncio.to_thread(suite.thaw, component)


async def are_there_once(gateway: httpx.AsyncClient, owner: User, done: dict[str, str]) -> None:
    found = await entries_of(gateway, owner, done)
    assert {action: len(entries) for action, entries in found.items()} == dict.fromkeys(done, 1)
    assert {entry["actor"] for entries in found.values() for entry in entries} == {owner.user_id}


async def test_what_is_done_by_key_names_the_key(gateway: httpx.AsyncClient, register_user: RegisterUser) -> None:
    owner = await register_user()
    headers = {"X-API-Key": await api_key(gateway, owner.headers, EVERY_SCOPE - FOR_ADMINS)}

    found = await entries_of(gateway, owner, await have_an_agent(gateway, headers))

    [made] = await matching(gateway, owner, action="api_key.created")
    assert {entry["details"]["key_id"] for entries in found.values() for entry in entries} == {made["target"]}


async def test_what_a_service_does_for_a_user_names_both(
    gateway: httpx.AsyncClient, auth: httpx.AsyncClient, suite: Suite, register_user: RegisterUser
) -> None:
    owner = await register_user()
    asked = {"subject": owner.user_id, "tenant_id": owner.tenant_id, "scopes": ["agents:read", "agents:write"]}
    given = await auth.post(
        "/internal/tokens/delegate", json=asked, headers=await service_headers(auth, suite, "tasks")
    )
    delegate = {"Authorization": f"Bearer {given.raise_for_status().json()['access_token']}"}

    found = await entries_of(gateway, owner, await have_an_agent(gateway, delegate))

    [granted] = await matching(gateway, owner, action="delegation.given")
    both = {(entry["actor"], entry["details"]["act"]) for entries in found.values() for entry in entries}
    assert both == {(owner.user_id, "service:tasks")}
    assert (granted["actor"], granted["target"]) == ("service:tasks", owner.user_id)


async def test_a_neighbours_deeds_never_show(gateway: httpx.AsyncClient, register_user: RegisterUser) -> None:
    owner, neighbour = await register_user(), await register_user()
    await entries_of(gateway, neighbour, await have_an_agent(gateway, neighbour.headers))

    entries = await matching(gateway, owner)

    assert neighbour.user_id not in str(entries)
    assert {entry["action"] for entry in entries} <= {
        "user.registered",
        "email.proved",
        "login.succeeded",
        "audit.read",
    }


async def test_administrators_see_it_with_its_tenant_and_the_chain_is_unbroken(
    gateway: httpx.AsyncClient, suite: Suite, register_user: RegisterUser, as_admin: LogIn
) -> None:
    owner = await register_user()
    await entries_of(gateway, owner, await have_a_task(gateway, owner.headers))

    answer = await gateway.get(
        "/api/v1/auth/audit",
        params={"tenant_id": owner.tenant_id, "action": "task"},
        headers=await as_admin(EVERY_SCOPE),
    )

    environment = suite.environment("auth")
    assert [entry["tenant_id"] for entry in answer.json()["items"]] == [owner.tenant_id]
    async with open_database(environment["DATABASE_URL"], "auth", MIGRATIONS) as database:
        assert (await verify(database, AuditLog(environment["AUDIT_KEY"]))).is_good


ELSEWHERE = [
    "/api/v1/agents/list",
    "/api/v1/chat/conversations",
    "/api/v1/vectors/collections",
    "/api/v1/tasks/list",
]


async def until_told(look: Callable[[], Awaitable[list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_who_lacks_a_scope_elsewhere_is_in_the_tenants_log(
    gateway: httpx.AsyncClient, register_user: RegisterUser, path: str
) -> None:
    owner = await register_user()
    headers = {"X-API-Key": await api_key(gateway, owner.headers, frozenset({"auth:profile"}))}

    statuses = {(await gateway.get(path, headers=headers)).status_code for _ in range(5)}

    async def look() -> list[dict[str, Any]]:
        return await matching(gateway, owner, action="access.refused")

    [entry] = await until_told(look)
    [made] = await matching(gateway, owner, action="api_key.created")
    assert statuses == {403}
    assert (entry["actor"], entry["target"]) == (owner.user_id, made["target"])
    assert entry["details"] == {"asked": f"GET {path}", "key_id": made["target"]}
    assert entry["source"]


@pytest.mark.parametrize("path", ELSEWHERE)
async def test_a_token_that_was_forged_is_in_the_log_wherever_it_is_shown(
    gateway: httpx.AsyncClient, register_user: RegisterUser, as_admin: LogIn, path: str
) -> None:
    """Whose it claims to be is in no entry."""
    claimed = await register_user()
    forged = claimed.token.rpartition(".")[0] + "." + "A" * 86

    refused = await gateway.get(path, headers={"Authorization": f"Bearer {forged}"})

    async def look() -> list[dict[str, Any]]:
        asked = {"action": "token.forged", "limit": "100"}
        answer = await gateway.get("/api/v1/auth/audit", params=asked, headers=await as_admin(EVERY_SCOPE))
        told = answer.raise_for_status().json()["items"]
        return [entry for entry in told if entry["details"].get("asked") == f"GET {path}"]

    entry, *_ = await until_told(look)
    assert refused.status_code == 401
    assert (entry["actor"], entry["tenant_id"], "key_id" in entry["details"]) == (None, None, False)
    assert entry["target"]
    assert entry["source"]
    assert claimed.user_id not in str(entry)
