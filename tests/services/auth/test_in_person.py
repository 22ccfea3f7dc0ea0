"""S21: a service that acts for a user gets no credential and changes no membership; a key makes no key."""

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest

from local.suite import Suite
from shared.schemas import new_id
from tests.architecture.apps import operations
from tests.fixtures.identity import User, register_with, service_headers
from tests.services.auth.tenancy import INVITATIONS, MEMBERS, Join, invite

DELEGATE = "/internal/tokens/delegate"
KEYS, ME, AUDIT = (f"/api/v1/auth/{name}" for name in ("api-keys", "me", "audit"))
OPEN_TO_DELEGATES = {"auth_me"}
PROTECTED = {
    described["operationId"]: (method, re.sub(r"\{\w+\}", new_id(), path), described["security"])
    for _, method, path, described in operations("auth")
    if described.get("security")
}
EVERY_SCOPE = sorted(
    {scope for *_, security in PROTECTED.values() for one in security for scope in one.get("bearer", ())}
)
Headers = dict[str, str]


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


async def delegated(client: httpx.AsyncClient, suite: Suite, of: Headers, **changes: Any) -> httpx.Response:
    """What tasks is given that wants to act for whoever these headers are of."""
    me = (await client.get(ME, headers=of)).raise_for_status().json()
    body = {"subject": me["id"], "tenant_id": me["tenant_id"], "scopes": ["auth:profile"]} | changes
    return await client.post(DELEGATE, json=body, headers=await service_headers(client, suite, "tasks"))


def bearer(answer: httpx.Response) -> Headers:
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


async def make_key(client: httpx.AsyncClient, user: User, **changes: Any) -> dict[str, Any]:
    body = {"name": "ci", "scopes": ["auth:keys", "auth:profile"]} | changes
    return dict((await client.post(KEYS, json=body, headers=user.headers)).raise_for_status().json())


async def noted(client: httpx.AsyncClient, admin: Headers, **filters: str) -> list[dict[str, Any]]:
    return list((await client.get(AUDIT, params=filters, headers=admin)).raise_for_status().json()["items"])


async def test_a_delegate_is_refused_by_all_of_auth_but_who_it_acts_for(
    client: httpx.AsyncClient, suite: Suite, admin: Headers
) -> None:
    delegate = bearer(await delegated(client, suite, admin, scopes=EVERY_SCOPE))

    answers = {
        name: await client.request(method, path, headers=delegate) for name, (method, path, _) in PROTECTED.items()
    }

    opened = {name for name, answer in answers.items() if answer.status_code != 403}
    codes = {answer.json()["code"] for name, answer in answers.items() if name not in opened}
    assert opened == OPEN_TO_DELEGATES
    assert codes == {"auth.delegate_refused"}


async def test_the_audit_log_names_the_user_and_who_acted_for_them(
    client: httpx.AsyncClient, suite: Suite, admin: Headers
) -> None:
    user = await register_with(client)()
    delegate = bearer(await delegated(client, suite, user.headers))

    await client.post("/api/v1/auth/password", headers=delegate)
    await client.post("/api/v1/auth/revoke", data={"token": delegate["Authorization"].removeprefix("Bearer ")})

    ended, refused, *_ = await noted(client, admin, actor=user.user_id)
    assert (refused["action"], refused["tenant_id"]) == ("credential.refused", user.tenant_id)
    assert refused["details"] == {"asked": "POST /api/v1/auth/password", "act": "service:tasks"}
    assert (ended["action"], ended["details"]) == ("token.revoked", {"act": "service:tasks"})


@pytest.mark.parametrize("with_token", [False, True])
async def test_a_key_makes_no_key_and_rotates_none(
    client: httpx.AsyncClient, admin: Headers, *, with_token: bool
) -> None:
    user = await register_with(client)()
    key = await make_key(client, user, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    headers = {"X-API-Key": key["key"]}
    if with_token:
        form = {"grant_type": "client_credentials", "client_id": key["prefix"], "client_secret": key["key"]}
        headers = bearer(await client.post("/api/v1/auth/token", data=form))

    made = await client.post(KEYS, json={"name": "endless", "scopes": ["auth:profile"]}, headers=headers)
    rotated = await client.post(f"{KEYS}/{key['id']}/rotate", json={}, headers=headers)

    listed = (await client.get(KEYS, headers=headers)).json()["items"]
    assert {(one.status_code, one.json()["code"]) for one in (made, rotated)} == {(403, "auth.api_key_refused")}
    assert [one["id"] for one in listed] == [key["id"]]
    assert [one["action"] for one in await noted(client, admin, target=key["id"])][:2] == ["credential.refused"] * 2


async def test_a_key_gives_nobody_rights_that_would_outlive_it_and_takes_them_away(
    client: httpx.AsyncClient, admin: Headers, join: Join
) -> None:
    owner = await register_with(client)()
    member = await join(owner, "viewer")
    key = await make_key(client, owner, scopes=["members:write", "members:read"])
    headers = {"X-API-Key": key["key"]}
    offered = (await invite(client, owner, f"offered-{owner.email}")).raise_for_status().json()

    invited = await client.post(INVITATIONS, json={"email": f"new-{owner.email}", "role": "owner"}, headers=headers)
    raised = await client.patch(f"{MEMBERS}/{member.user_id}", json={"role": "owner"}, headers=headers)
    kept = [one["id"] for one in (await client.get(INVITATIONS, headers=headers)).json()["items"]]
    withdrawn = await client.delete(f"{INVITATIONS}/{offered['id']}", headers=headers)
    removed = await client.delete(f"{MEMBERS}/{member.user_id}", headers=headers)

    assert {(one.status_code, one.json()["code"]) for one in (invited, raised)} == {(403, "auth.api_key_refused")}
    assert kept == [offered["id"]]
    assert (withdrawn.status_code, removed.status_code) == (204, 204)
    refused = await noted(client, admin, action="credential.refused", tenant_id=owner.tenant_id)
    assert {one["details"]["asked"] for one in refused} == {f"POST {INVITATIONS}", f"PATCH {MEMBERS}/{{user_id}}"}


async def test_a_key_may_still_revoke_itself(client: httpx.AsyncClient) -> None:
    key = await make_key(client, await register_with(client)())

    answer = await client.delete(f"{KEYS}/{key['id']}", headers={"X-API-Key": key["key"]})

    assert answer.status_code == 204


class TestDelegationsOrigin:
    """What a service may do for a user ends with what the user handed the work over with."""

    async def test_a_delegation_of_a_key_is_revoked_with_it(self, client: httpx.AsyncClient, suite: Suite) -> None:
        user = await register_with(client)()
        key = await make_key(client, user)
        delegate = bearer(await delegated(client, suite, user.headers, key_id=key["id"]))
        before = await client.get(ME, headers=delegate)

        await client.delete(f"{KEYS}/{key['id']}", headers=user.headers)

        again = await delegated(client, suite, user.headers, key_id=key["id"])
        assert (before.status_code, (await client.get(ME, headers=delegate)).status_code) == (200, 401)
        assert (again.status_code, again.json()["code"]) == (403, "auth.delegation_refused")

    async def test_a_delegation_of_a_session_ends_at_its_logout(self, client: httpx.AsyncClient, suite: Suite) -> None:
        user = await register_with(client)()
        other = replace(user, token=(await self.log_in(client, user))["access_token"])
        session_id = claims(user.token)["sid"]
        delegate = bearer(await delegated(client, suite, user.headers, session_id=session_id))

        await client.post("/api/v1/auth/logout", headers=user.headers)

        again = await delegated(client, suite, other.headers, session_id=session_id)
        assert (await client.get(ME, headers=delegate)).status_code == 401
        assert (again.status_code, again.json()["code"]) == (403, "auth.delegation_refused")

    async def log_in(self, client: httpx.AsyncClient, user: User) -> dict[str, Any]:
        form = {"grant_type": "password", "username": user.email, "password": user.password}
        return dict((await client.post("/api/v1/auth/token", data=form)).raise_for_status().json())

    async def test_a_delegation_is_never_valid_for_longer_than_its_key(
        self, client: httpx.AsyncClient, suite: Suite
    ) -> None:
        user = await register_with(client)()
        ends = datetime.now(UTC) + timedelta(seconds=90)
        key = await make_key(client, user, expires_at=ends.isoformat())

        answer = await delegated(client, suite, user.headers, key_id=key["id"])

        token = claims(answer.json()["access_token"])
        assert (token["key_id"], token["act"]) == (key["id"], {"sub": "service:tasks"})
        assert time.time() < token["exp"] <= ends.timestamp()

    async def test_anothers_key_or_session_is_none_to_act_by(
        self, client: httpx.AsyncClient, suite: Suite, user: User
    ) -> None:
        other = await register_with(client)()
        theirs = {"key_id": (await make_key(client, other))["id"], "session_id": claims(other.token)["sid"]}

        answers = [await delegated(client, suite, user.headers, **{name: id}) for name, id in theirs.items()]

        assert [answer.status_code for answer in answers] == [403, 403]

    async def test_a_refusal_is_noted_with_both_names(
        self, client: httpx.AsyncClient, suite: Suite, admin: Headers
    ) -> None:
        user = await register_with(client)()

        await delegated(client, suite, user.headers, key_id=new_id())

        (entry,) = await noted(client, admin, target=user.user_id, action="delegation.refused")
        assert (entry["actor"], entry["tenant_id"]) == ("service:tasks", user.tenant_id)
