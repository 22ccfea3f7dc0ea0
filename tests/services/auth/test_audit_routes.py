"""S23: the audit log against the routes. What each operation of auth writes when it is done, and when it is refused."""

import re
import secrets
from collections import defaultdict
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from local.suite import Suite
from shared.postgres import Database
from shared.schemas import new_id
from tests.architecture.apps import operations
from tests.fixtures.identity import RegisterUser, User, register_with, service_headers
from tests.fixtures.letters import FORGOT, MOVE, PROVE, Letters
from tests.fixtures.sources import passed_on_from
from tests.services.auth.tenancy import log_in

Headers = dict[str, str]
PASSWORD, OTHER_PASSWORD = "correct horse battery staple", "wrong donkey charger paperclip"
OPERATIONS = {described["operationId"]: (method, path, described) for _, method, path, described in operations("auth")}
PROTECTED = [name for name, (*_, described) in OPERATIONS.items() if described.get("security")]
OPEN_TO_DELEGATES = {"auth_me"}
# What each writes when it does what it is for; nothing where it only reads what is the caller's, or is public.
WRITES: dict[str, set[str]] = {
    "auth_register": {"user.registered"},
    "auth_me": set(),
    "auth_update_me": {"user.renamed"},
    "auth_change_password": {"password.changed"},
    "auth_forgot_password": {"password.forgotten"},
    "auth_reset_password": {"password.reset"},
    "auth_verify_email": {"email.proved", "email.changed"},
    "auth_resend_verification": set(),
    "auth_change_email": {"email.change_asked"},
    "auth_token": {"login.succeeded", "session.token_repeated"},
    "auth_logout": {"session.ended", "token.revoked"},
    "auth_revoke": {"token.revoked"},
    "auth_introspect": {"token.introspected"},
    "auth_jwks": set(),
    "auth_metadata": set(),
    "auth_create_api_key": {"api_key.created"},
    "auth_list_api_keys": set(),
    "auth_rotate_api_key": {"api_key.rotated"},
    "auth_find_api_key": {"api_key.looked_up"},
    "auth_revoke_api_key": {"api_key.revoked"},
    "auth_list_members": set(),
    "auth_leave_tenant": {"member.removed"},
    "auth_update_member": {"member.role_changed"},
    "auth_remove_member": {"member.removed"},
    "auth_create_invitation": {"invitation.created"},
    "auth_list_invitations": set(),
    "auth_withdraw_invitation": {"invitation.withdrawn"},
    "auth_accept_invitation": {"user.registered", "invitation.accepted"},
    "auth_list_users": {"user.listed"},
    "auth_get_user": {"user.read"},
    "auth_disable_user": {"user.disabled"},
    "auth_enable_user": {"user.enabled"},
    "auth_unlock_user": {"user.unlocked"},
    "auth_list_audit": {"audit.read"},
    "auth_list_tenant_audit": {"audit.read"},
}


class Recorder:
    """Does operations, all from an address of its own, and knows by their traces what each wrote."""

    def __init__(self, client: httpx.AsyncClient, database: Database) -> None:
        self._client, self._database = client, database
        self.source = f"2001:db8:{secrets.randbits(16):x}:{secrets.randbits(16):x}::/64"
        self._traces: defaultdict[str, list[str]] = defaultdict(list)

    async def do(self, name: str, headers: Headers, *, fails: bool = False, id: str = "", **given: Any) -> Any:
        """The body of the answer."""
        method, path, _ = OPERATIONS[name]
        where = passed_on_from(self.source.removesuffix("/64"))
        answer = await self._client.request(method, re.sub(r"\{\w+\}", id, path), headers=headers | where, **given)
        assert answer.is_success != fails, answer.text
        self._traces[name].append(answer.headers["x-trace-id"])
        return answer.json() if answer.content else {}

    async def entries(self, name: str) -> list[dict[str, Any]]:
        """What the operation wrote, each time."""
        wanted = text("SELECT * FROM audit_entry WHERE trace_id = ANY(:traces) ORDER BY number")
        async with self._database.session() as session:
            rows = await session.execute(wanted, {"traces": self._traces[name]})
            return [dict(row) for row in rows.mappings()]

    async def written(self) -> dict[str, set[str]]:
        """The actions, by operation."""
        return {name: {entry["action"] for entry in await self.entries(name)} for name in self._traces}


@pytest.fixture
def recorder(client: httpx.AsyncClient, database: Database) -> Recorder:
    return Recorder(client, database)


async def have_an_account(recorder: Recorder, user: User) -> None:
    form = {"grant_type": "password", "username": user.email, "password": user.password}
    await recorder.do("auth_jwks", {})
    await recorder.do("auth_metadata", {})
    await recorder.do("auth_register", {}, json={"email": f"{new_id()}@example.com", "password": PASSWORD})
    await recorder.do("auth_me", user.headers)
    await recorder.do("auth_update_me", user.headers, json={"name": "Ada"})
    session = await recorder.do("auth_token", {}, data=form)
    for _ in range(2):
        await recorder.do(
            "auth_token", {}, data={"grant_type": "refresh_token", "refresh_token": session["refresh_token"]}
        )
    await recorder.do("auth_logout", bearer(session))
    await recorder.do(
        "auth_revoke", {}, data={"token": (await recorder.do("auth_token", {}, data=form))["access_token"]}
    )
    passwords = {"current_password": user.password, "new_password": PASSWORD}
    await recorder.do("auth_change_password", user.headers, json=passwords)


async def have_an_address(recorder: Recorder, letters: Letters) -> None:
    old, new = (f"{new_id()}@example.com" for _ in range(2))

    async def logged_in(password: str) -> Headers:
        form = {"grant_type": "password", "username": old, "password": password}
        return bearer(await recorder.do("auth_token", {}, data=form))

    await recorder.do("auth_register", {}, json={"email": old, "password": PASSWORD})
    await recorder.do("auth_resend_verification", await logged_in(PASSWORD))
    await recorder.do("auth_verify_email", {}, json={"token": await letters.arrived_token(old, PROVE, 2)})
    await recorder.do("auth_forgot_password", {}, json={"email": old})
    token = await letters.arrived_token(old, FORGOT)
    await recorder.do("auth_reset_password", {}, json={"token": token, "password": OTHER_PASSWORD})
    moved = {"email": new, "current_password": OTHER_PASSWORD}
    await recorder.do("auth_change_email", await logged_in(OTHER_PASSWORD), json=moved)
    await recorder.do("auth_verify_email", {}, json={"token": await letters.arrived_token(new, MOVE)})


async def have_keys(recorder: Recorder, user: User, admin: Headers) -> None:
    body = {"name": "ci", "scopes": ["auth:keys", "auth:profile"]}
    key = await recorder.do("auth_create_api_key", user.headers, json=body)
    await recorder.do("auth_list_api_keys", user.headers)
    await recorder.do("auth_find_api_key", admin, json={"prefix": key["prefix"]})
    new = await recorder.do("auth_rotate_api_key", user.headers, id=key["id"], json={})
    await recorder.do("auth_logout", {"X-API-Key": new["key"]})
    await recorder.do("auth_revoke_api_key", user.headers, id=new["id"])


async def have_members(recorder: Recorder, owner: User, letters: Letters, client: httpx.AsyncClient) -> None:
    for end in ("leave", "remove"):
        email = f"{new_id()}@example.com"
        await recorder.do("auth_create_invitation", owner.headers, json={"email": email, "role": "member"})
        joined = await recorder.do(
            "auth_accept_invitation", {}, json={"token": letters.token(email), "password": PASSWORD}
        )
        if end == "leave":
            member = User(joined["user_id"], "", email, PASSWORD, "", "")
            await recorder.do("auth_leave_tenant", (await log_in(client, member, owner.tenant_id)).headers)
        else:
            role: dict[str, Any] = {"json": {"role": "viewer"}}
            await recorder.do("auth_update_member", owner.headers, id=joined["user_id"], **role)
            await recorder.do("auth_remove_member", owner.headers, id=joined["user_id"])
    for name in ("auth_list_members", "auth_list_invitations", "auth_list_tenant_audit"):
        await recorder.do(name, owner.headers)
    body = {"email": f"{new_id()}@example.com", "role": "member"}
    invited = await recorder.do("auth_create_invitation", owner.headers, json=body)
    await recorder.do("auth_withdraw_invitation", owner.headers, id=invited["id"])


async def administrate(recorder: Recorder, user: User, admin: Headers) -> None:
    for name in ("auth_list_users", "auth_list_audit"):
        await recorder.do(name, admin)
    await recorder.do("auth_introspect", admin, data={"token": user.token})
    for name in ("auth_get_user", "auth_disable_user", "auth_enable_user", "auth_unlock_user"):
        await recorder.do(name, admin, id=user.user_id)


def bearer(tokens: dict[str, Any]) -> Headers:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


@pytest.mark.usefixtures("patient_repetitions")
async def test_every_operation_writes_what_it_does(
    recorder: Recorder,
    client: httpx.AsyncClient,
    admin: Headers,
    letters: Letters,
    register_proved: RegisterUser,
) -> None:
    people = [await register_proved() for _ in range(4)]

    await have_an_account(recorder, people[0])
    await have_an_address(recorder, letters)
    await have_keys(recorder, people[1], admin)
    await have_members(recorder, people[2], letters, client)
    await administrate(recorder, people[3], admin)

    assert set(OPERATIONS) == set(WRITES)
    assert await recorder.written() == WRITES


@pytest.mark.parametrize("name", PROTECTED)
async def test_whoever_may_not_is_noted_with_what_they_asked_for(
    recorder: Recorder, client: httpx.AsyncClient, name: str
) -> None:
    user = await register_with(client)(scope="agents:read")

    await recorder.do(name, user.headers, fails=True, id=new_id())

    method, path, _ = OPERATIONS[name]
    [entry] = await recorder.entries(name)
    assert (entry["action"], entry["actor"], entry["tenant_id"]) == ("access.refused", user.user_id, user.tenant_id)
    assert (entry["details"], entry["source"]) == ({"asked": f"{method} {path}"}, recorder.source)


async def test_a_service_that_may_not_act_for_a_user_is_noted_with_both_names(
    recorder: Recorder, client: httpx.AsyncClient, suite: Suite, admin: Headers
) -> None:
    me = (await client.get("/api/v1/auth/me", headers=admin)).json()
    scopes = sorted(
        {scope for name in PROTECTED for one in OPERATIONS[name][2]["security"] for scope in one.get("bearer", ())}
    )
    asked = {"subject": me["id"], "tenant_id": me["tenant_id"], "scopes": scopes}
    given = await client.post(
        "/internal/tokens/delegate", json=asked, headers=await service_headers(client, suite, "tasks")
    )

    for name in set(PROTECTED) - OPEN_TO_DELEGATES:
        await recorder.do(name, bearer(given.json()), fails=True, id=new_id())

    entries = [entry for name in set(PROTECTED) - OPEN_TO_DELEGATES for entry in await recorder.entries(name)]
    assert len(entries) == len(PROTECTED) - len(OPEN_TO_DELEGATES)
    assert {(entry["action"], entry["actor"]) for entry in entries} == {("credential.refused", me["id"])}
    assert {entry["details"]["act"] for entry in entries} == {"service:tasks"}


async def test_what_somebody_does_by_key_names_the_key(recorder: Recorder, client: httpx.AsyncClient) -> None:
    user = await register_with(client)()
    body = {"name": "ci", "scopes": ["auth:keys", "auth:profile"]}
    key = await recorder.do("auth_create_api_key", user.headers, json=body)

    await recorder.do("auth_update_me", {"X-API-Key": key["key"]}, json={"name": "Ada"})
    await recorder.do("auth_logout", {"X-API-Key": key["key"]})

    entries = await recorder.entries("auth_update_me") + await recorder.entries("auth_logout")
    assert [(one["action"], one["actor"]) for one in entries] == [
        ("user.renamed", user.user_id),
        ("token.revoked", user.user_id),
    ]
    assert [one["details"] for one in entries] == [{"key_id": key["id"]}] * 2


@pytest.mark.usefixtures("patient_repetitions")
async def test_no_entry_holds_what_a_person_wrote(
    recorder: Recorder,
    client: httpx.AsyncClient,
    admin: Headers,
    letters: Letters,
    register_proved: RegisterUser,
) -> None:
    people = [await register_proved() for _ in range(3)]
    await have_an_account(recorder, people[0])
    await have_an_address(recorder, letters)
    await have_keys(recorder, people[1], admin)
    await have_members(recorder, people[2], letters, client)

    everything = str([entry for name in OPERATIONS for entry in await recorder.entries(name)])

    written = [PASSWORD, OTHER_PASSWORD, "@example.com", "Ada", "sutaz_live_", *(one.password for one in people)]
    assert [one for one in written if one in everything] == []
