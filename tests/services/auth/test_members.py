"""Who belongs to a tenant, what each may do there, and how it ends."""

import asyncio
import time
from collections import Counter

import httpx
import jwt
import pytest

from local.suite import Suite
from tests.fixtures.apps import ServiceClient
from tests.fixtures.identity import RegisterUser, User, register_with
from tests.fixtures.letters import Letters
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.auth.tenancy import (
    INVITATIONS,
    ME,
    MEMBERS,
    Join,
    accept,
    invite,
    joining,
    log_in,
    refresh,
)

KEYS = "/api/v1/auth/api-keys"


async def set_role(client: httpx.AsyncClient, owner: User, user: User, role: str) -> httpx.Response:
    return await client.patch(f"{MEMBERS}/{user.user_id}", json={"role": role}, headers=owner.headers)


async def remove(client: httpx.AsyncClient, owner: User, user: User) -> httpx.Response:
    return await client.delete(f"{MEMBERS}/{user.user_id}", headers=owner.headers)


async def me(client: httpx.AsyncClient, user: User) -> httpx.Response:
    return await client.get(ME, headers=user.headers)


def scopes(token: str) -> set[str]:
    return set(jwt.decode(token, options={"verify_signature": False})["scope"].split())


# --- Who is there -----------------------------------------------------------------------------------------------------


async def test_pages_hold_every_member_once_and_nobody_else(client: httpx.AsyncClient, join: Join) -> None:
    owner, stranger = await register_with(client)(), await register_with(client)()
    members = {owner.user_id} | {(await join(owner, role)).user_id for role in ("viewer", "member", "owner")}
    await join(stranger, "member")

    seen: list[str] = []
    params: dict[str, str] = {"limit": "3"}
    while True:
        page = (await client.get(MEMBERS, params=params, headers=owner.headers)).json()
        seen += [item["user_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]

    assert (len(seen), set(seen)) == (4, members)


async def test_a_member_is_shown_as_their_tenant_sees_them(client: httpx.AsyncClient, join: Join) -> None:
    owner = await register_with(client)()
    viewer = await join(owner, "viewer")

    page = (await client.get(MEMBERS, headers=viewer.headers)).json()

    assert [(item["email"], item["role"]) for item in page["items"]] == [
        (owner.email, "owner"),
        (viewer.email, "viewer"),
    ]
    assert page["items"][0].keys() == {"user_id", "email", "name", "role", "created_at"}


async def test_me_lists_all_my_tenants_and_where_i_act(client: httpx.AsyncClient, join: Join) -> None:
    owner = await register_with(client)()
    viewer = await join(owner, "viewer")

    here = (await me(client, viewer)).json()

    assert (here["tenant_id"], here["role"]) == (owner.tenant_id, "viewer")
    assert [tenant["role"] for tenant in here["tenants"]] == ["owner", "viewer"]
    assert here["tenants"][1] == {"id": owner.tenant_id, "name": owner.email, "role": "viewer"}


async def test_a_cursor_of_another_tenant_is_refused(client: httpx.AsyncClient, join: Join) -> None:
    owner, stranger = await register_with(client)(), await register_with(client)()
    await join(owner, "member")
    cursor = (await client.get(MEMBERS, params={"limit": 1}, headers=owner.headers)).json()["next_cursor"]

    answer = await client.get(MEMBERS, params={"cursor": cursor}, headers=stranger.headers)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query/cursor")


# --- Who may decide ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "expected"), [("viewer", 403), ("member", 403), ("owner", 200)])
async def test_only_owners_decide_who_belongs(client: httpx.AsyncClient, join: Join, role: str, expected: int) -> None:
    owner = await register_with(client)()
    actor, target = await join(owner, role), await join(owner, "member")

    changed = await set_role(client, actor, target, "viewer")
    removed = await remove(client, actor, target)
    invited = await invite(client, actor, f"new-{target.email}")
    listed = await client.get(MEMBERS, headers=actor.headers)

    allowed = expected == 200
    assert (changed.status_code, removed.status_code, invited.status_code) == (
        (200, 204, 201) if allowed else (403, 403, 403)
    )
    assert allowed or "members:write" in changed.json()["detail"]
    assert listed.status_code == 200


async def test_an_owner_decides_about_their_own_tenant_only(
    client: httpx.AsyncClient, join: Join, register_proved: RegisterUser
) -> None:
    owner, stranger = await register_proved(), await register_proved()
    member = await join(owner, "member")

    changed, removed = await set_role(client, stranger, member, "viewer"), await remove(client, stranger, member)

    assert (changed.status_code, changed.json()["code"]) == (404, "auth.member_not_found")
    assert removed.status_code == 404
    assert (await me(client, member)).json()["role"] == "member"


async def test_roles_hold_in_the_other_services(
    suite: Suite, auth: httpx.AsyncClient, register_user: RegisterUser, service_client: ServiceClient, letters: Letters
) -> None:
    suite.up(["auth", "neo4j", "redis-cache"])
    join_there = joining(auth, letters, register_user)
    owner = await register_user()
    viewer, member = await join_there(owner, "viewer"), await join_there(owner, "member")
    body = {"name": "Shared", "instructions": "Answer briefly."}

    async with service_client("agents") as agents:
        refused = await agents.post("/api/v1/agents/create", json=body, headers=viewer.headers)
        created = await agents.post("/api/v1/agents/create", json=body, headers=member.headers)
        seen = await agents.get(f"/api/v1/agents/{created.json()['id']}", headers=viewer.headers)

    assert (refused.status_code, created.status_code, seen.status_code) == (403, 201, 200)
    assert "agents:write" in refused.json()["detail"]


# --- A lower role -----------------------------------------------------------------------------------------------------


async def test_a_lowered_member_loses_their_token_at_once_and_refreshes_into_the_new_role(
    client: httpx.AsyncClient, join: Join
) -> None:
    owner = await register_with(client)()
    member = await join(owner, "member")
    before = await me(client, member)

    lowered = await set_role(client, owner, member, "viewer")
    after = await me(client, member)
    refreshed = await refresh(client, member)

    assert (before.status_code, lowered.json()["role"], after.status_code) == (200, "viewer", 401)
    assert "agents:write" in scopes(member.token)
    assert "agents:write" not in scopes(refreshed.json()["access_token"])
    assert "agents:read" in scopes(refreshed.json()["access_token"])


async def test_the_token_a_lowered_member_is_given_next_works(client: httpx.AsyncClient, join: Join) -> None:
    owner = await register_with(client)()
    member = await join(owner, "member")
    await set_role(client, owner, member, "viewer")

    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await me(client, await log_in(client, member, owner.tenant_id))).status_code != 200:
            pass  # tokens tell the second they are from: one of the same second as the change counts as older

    assert (await me(client, await log_in(client, member, owner.tenant_id))).json()["role"] == "viewer"


async def test_lowering_ends_nothing_in_other_tenants(client: httpx.AsyncClient, join: Join) -> None:
    owner = await register_with(client)()
    member = await join(owner, "member")
    at_home = await log_in(client, member, (await me(client, member)).json()["tenants"][0]["id"])

    await set_role(client, owner, member, "viewer")

    assert (await me(client, at_home)).status_code == 200


async def test_raising_ends_no_token(client: httpx.AsyncClient, join: Join) -> None:
    owner = await register_with(client)()
    viewer = await join(owner, "viewer")

    await set_role(client, owner, viewer, "owner")
    old = await me(client, viewer)
    fresh = await log_in(client, viewer, owner.tenant_id)

    assert (old.status_code, old.json()["role"]) == (200, "owner")
    assert "members:write" in scopes(fresh.token) - scopes(viewer.token)


@pytest.mark.parametrize("role", ["admin", "", None])
async def test_an_unknown_role_is_422(client: httpx.AsyncClient, user: User, role: str | None) -> None:
    answer = await client.patch(f"{MEMBERS}/{user.user_id}", json={"role": role}, headers=user.headers)

    assert answer.status_code == 422


# --- The last owner ---------------------------------------------------------------------------------------------------


async def test_the_last_owner_stays_whoever_else_is_there(client: httpx.AsyncClient, join: Join) -> None:
    owner = await register_with(client)()
    await join(owner, "member")

    answers = [
        await set_role(client, owner, owner, "member"),
        await remove(client, owner, owner),
        await client.delete(f"{MEMBERS}/me", headers=owner.headers),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "auth.last_owner")] * 3
    assert (await me(client, owner)).json()["role"] == "owner"


async def test_of_owners_who_lower_each_other_at_once_one_remains(client: httpx.AsyncClient, join: Join) -> None:
    first = await register_with(client)()
    owners = [first, *[await join(first, "owner") for _ in range(4)]]

    await asyncio.gather(
        *(set_role(client, owner, other, "viewer") for owner in owners for other in owners if owner is not other)
    )

    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            someone = await log_in(client, owners[0], first.tenant_id)
            page = await client.get(MEMBERS, headers=someone.headers)
            if page.status_code == 200:
                break
    assert Counter(item["role"] for item in page.json()["items"])["owner"] >= 1


async def test_of_owners_who_all_leave_at_once_one_remains(client: httpx.AsyncClient, join: Join) -> None:
    first = await register_with(client)()
    owners = [first, *[await join(first, "owner") for _ in range(4)]]

    answers = await asyncio.gather(*(client.delete(f"{MEMBERS}/me", headers=owner.headers) for owner in owners))

    assert Counter(answer.status_code for answer in answers) == {204: 4, 409: 1}


# --- An end -----------------------------------------------------------------------------------------------------------


async def test_a_removed_member_is_out_at_once(client: httpx.AsyncClient, join: Join) -> None:
    owner = await register_with(client)()
    member = await join(owner, "member")
    body = {"name": "ci", "scopes": ["auth:profile"]}
    key = (await client.post(KEYS, json=body, headers=member.headers)).json()["key"]
    before = await client.get(ME, headers={"X-API-Key": key})

    removed = await remove(client, owner, member)

    by_token, by_key = await me(client, member), await client.get(ME, headers={"X-API-Key": key})
    form = {"grant_type": "password", "username": member.email, "password": member.password}
    by_password = await client.post("/api/v1/auth/token", data=form | {"tenant_id": owner.tenant_id})
    by_refresh = await refresh(client, member)
    assert (before.status_code, removed.status_code) == (200, 204)
    assert [a.status_code for a in (by_token, by_key, by_password, by_refresh)] == [401] * 4
    assert (await client.post("/api/v1/auth/token", data=form)).status_code == 200


async def test_another_service_refuses_the_token_of_a_removed_member_within_a_minute(
    suite: Suite, auth: httpx.AsyncClient, register_user: RegisterUser, service_client: ServiceClient, letters: Letters
) -> None:
    suite.up(["auth", "neo4j", "redis-cache"])
    owner = await register_user()
    member = await joining(auth, letters, register_user)(owner, "member")

    async with service_client("agents") as agents:
        before = await agents.get("/api/v1/agents/list", headers=member.headers)
        await remove(auth, owner, member)
        removed_at = time.monotonic()
        async with asyncio.timeout(60):
            while (await agents.get("/api/v1/agents/list", headers=member.headers)).status_code != 401:  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # its list of revocations arrives by itself

    assert before.status_code == 200
    assert time.monotonic() - removed_at < 60


async def test_who_comes_back_finds_nothing_of_before_alive(
    client: httpx.AsyncClient, join: Join, letters: Letters
) -> None:
    owner = await register_with(client)()
    member = await join(owner, "member")
    body = {"name": "ci", "scopes": ["auth:profile"]}
    key = (await client.post(KEYS, json=body, headers=member.headers)).json()["key"]
    await remove(client, owner, member)

    await invite(client, owner, member.email)
    await accept(client, letters.token(member.email), member.password)

    by_token, by_refresh = await me(client, member), await refresh(client, member)
    by_key = await client.get(ME, headers={"X-API-Key": key})
    assert [a.status_code for a in (by_token, by_refresh, by_key)] == [401] * 3


async def test_anybody_may_leave(client: httpx.AsyncClient, join: Join) -> None:
    owner = await register_with(client)()
    viewer = await join(owner, "viewer")

    left = await client.delete(f"{MEMBERS}/me", headers=viewer.headers)

    assert (left.status_code, (await me(client, viewer)).status_code) == (204, 401)
    assert len((await client.get(MEMBERS, headers=owner.headers)).json()["items"]) == 1


async def test_who_is_removed_from_their_first_tenant_gets_another(client: httpx.AsyncClient, join: Join) -> None:
    founder = await register_with(client)()
    successor = await join(founder, "owner")

    removed = await remove(client, successor, founder)

    form = {"grant_type": "password", "username": founder.email, "password": founder.password}
    tokens = (await client.post("/api/v1/auth/token", data=form)).json()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (answer := await client.get(ME, headers=bearer(tokens))).status_code != 200:
            tokens = (await client.post("/api/v1/auth/token", data=form)).json()
    assert removed.status_code == 204
    assert (answer.json()["role"], len(answer.json()["tenants"])) == ("owner", 1)
    assert answer.json()["tenant_id"] not in (founder.tenant_id, successor.tenant_id)


def bearer(tokens: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_offers_end_with_the_right_to_make_them(client: httpx.AsyncClient, join: Join, letters: Letters) -> None:
    founder = await register_with(client)()
    owners = [await join(founder, "owner") for _ in range(2)]
    emails = [f"{number}-{founder.email}" for number in range(2)]
    for owner, email in zip(owners, emails, strict=True):
        (await invite(client, owner, email)).raise_for_status()

    await set_role(client, founder, owners[0], "member")
    await remove(client, founder, owners[1])

    answers = [await accept(client, letters.token(email), "correct horse battery") for email in emails]
    assert [answer.json()["code"] for answer in answers] == ["auth.invitation_refused"] * 2
    assert (await client.get(INVITATIONS, headers=founder.headers)).json()["items"] == []
