"""S23: a tenant's owners read the tenant's own entries, and no others."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from shared.postgres import Database
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.services.auth.auditing import Headers, noted
from tests.services.auth.tenancy import Join, invite

OWN = "/api/v1/auth/tenant/audit"
FIELDS = {"at", "action", "actor", "target", "source", "trace_id", "details"}


async def read(client: httpx.AsyncClient, user: User, **filters: Any) -> list[dict[str, Any]]:
    answer = await client.get(OWN, params={"limit": 100} | filters, headers=user.headers)
    return list(answer.raise_for_status().json()["items"])


def actions(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["action"] for entry in entries]


async def test_owners_read_what_members_and_administrators_did_in_their_tenant(
    client: httpx.AsyncClient, admin: Headers, join: Join
) -> None:
    owner = await register_with(client)()
    member = await join(owner, "viewer")
    await client.get("/api/v1/auth/users", headers=member.headers)
    await client.get(f"/api/v1/auth/users/{owner.user_id}", headers=admin)

    entries = await read(client, owner)

    me = (await client.get("/api/v1/auth/me", headers=admin)).json()["id"]
    newest = [(one["action"], one["actor"], one["target"]) for one in entries[:3]]
    assert newest[0] == ("user.read", me, owner.user_id)
    assert newest[1] == ("access.refused", member.user_id, member.user_id)
    assert newest[2][:2] == ("login.succeeded", member.user_id)
    assert {"invitation.created", "invitation.accepted", "user.registered"} <= set(actions(entries))


async def test_no_entry_says_more_than_concerns_the_tenant(client: httpx.AsyncClient) -> None:
    """Neither how much others do, which the numbers would, nor the chain, which only the installation can verify."""
    entries = await read(client, await register_with(client)())

    assert [set(entry) for entry in entries] == [FIELDS] * 2


async def test_entries_of_another_tenant_and_of_the_installation_never_show(
    client: httpx.AsyncClient, admin: Headers, database: Database
) -> None:
    owner, neighbour = await register_with(client)(), await register_with(client)()
    await client.get("/api/v1/auth/users", headers=admin)
    await client.post("/api/v1/auth/token", data={"grant_type": "refresh_token", "refresh_token": "invented"})
    await read(client, owner)

    entries = await read(client, owner)

    wanted = text("SELECT DISTINCT tenant_id FROM audit_entry WHERE trace_id = ANY(:traces)")
    async with database.session() as session:
        tenants = await session.scalars(wanted, {"traces": [entry["trace_id"] for entry in entries]})
    assert set(tenants) == {owner.tenant_id}
    assert neighbour.user_id not in str(entries)
    assert actions(entries) == ["audit.read", "login.succeeded", "user.registered"]


async def test_an_administrator_reads_their_own_tenant_here_and_all_there(
    client: httpx.AsyncClient, admin: Headers
) -> None:
    user = await register_with(client)()

    own = await client.get(OWN, params={"actor": user.user_id}, headers=admin)

    assert own.json()["items"] == []
    assert actions(await noted(client, admin, actor=user.user_id)) == ["login.succeeded", "user.registered"]


@pytest.mark.parametrize("role", ["viewer", "member"])
async def test_members_without_the_right_are_refused(client: httpx.AsyncClient, join: Join, role: str) -> None:
    member = await join(await register_with(client)(), role)

    answer = await client.get(OWN, headers=member.headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "common.missing_scope")


async def test_a_key_with_that_scope_alone_reads_the_log_and_nothing_else(client: httpx.AsyncClient) -> None:
    owner = await register_with(client)()
    body = {"name": "collector", "scopes": ["audit:read"]}
    key = (await client.post("/api/v1/auth/api-keys", json=body, headers=owner.headers)).json()["key"]

    answers = [await client.get(path, headers={"X-API-Key": key}) for path in (OWN, "/api/v1/auth/members")]

    assert [answer.status_code for answer in answers] == [200, 403]


async def test_whoever_is_no_owner_any_more_reads_nothing_more(client: httpx.AsyncClient, join: Join) -> None:
    owner = await register_with(client)()
    second = await join(owner, "owner")
    before = await client.get(OWN, headers=second.headers)

    await client.patch(f"/api/v1/auth/members/{second.user_id}", json={"role": "member"}, headers=owner.headers)

    assert (before.status_code, (await client.get(OWN, headers=second.headers)).status_code) == (200, 401)


async def test_filters_narrow_and_pages_hold_every_entry_once(
    client: httpx.AsyncClient, register_proved: RegisterUser
) -> None:
    owner = await register_proved()
    for number in range(5):
        (await invite(client, owner, f"{number}-{owner.user_id}@example.com")).raise_for_status()

    seen: list[str] = []
    params: dict[str, Any] = {"action": "invitation", "limit": 2}
    while True:
        page = (await client.get(OWN, params=params, headers=owner.headers)).raise_for_status().json()
        seen += [item["target"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]

    assert len(seen) == len(set(seen)) == 5
    assert await read(client, owner, actor=owner.user_id, target="nothing") == []


async def test_a_cursor_of_another_tenant_and_a_filter_by_tenant_are_refused(client: httpx.AsyncClient) -> None:
    owner, neighbour = await register_with(client)(), await register_with(client)()
    cursor = (await client.get(OWN, params={"limit": 1}, headers=neighbour.headers)).json()["next_cursor"]

    by_cursor = await client.get(OWN, params={"cursor": cursor}, headers=owner.headers)
    by_tenant = await client.get(OWN, params={"tenant_id": neighbour.tenant_id}, headers=owner.headers)

    assert (by_cursor.status_code, by_cursor.json()["errors"][0]["pointer"]) == (422, "query/cursor")
    assert neighbour.user_id not in by_tenant.text
