"""S23: what a stranger tries with credentials that are nearly right is in the audit log."""

import secrets
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.auth.trust.audit.log import AuditLog
from services.auth.trust.audit.repeats import ROOM
from services.auth.trust.audit.verification import verify
from shared.identity.api_keys import _checksum  # what a guess needs to be looked up at all
from shared.postgres import Database
from tests.fixtures.identity import User, register_with, service_headers
from tests.fixtures.sources import passed_on_from
from tests.services.auth.auditing import Headers, count_entries, noted
from tests.services.auth.tenancy import refresh

TOKEN, ME, KEYS = (f"/api/v1/auth/{name}" for name in ("token", "me", "api-keys"))
FLOOD = 2_000


async def make_key(client: httpx.AsyncClient, user: User, **changes: Any) -> dict[str, Any]:
    body = {"name": "ci", "scopes": ["auth:keys", "auth:profile"]} | changes
    return dict((await client.post(KEYS, json=body, headers=user.headers)).raise_for_status().json())


def guess(key: str) -> str:
    """The key with another secret, as somebody would try it who has seen how it begins."""
    body = key[:-7] + ("a" if key[-7] != "a" else "b")
    return body + _checksum(body)


def forged(token: str) -> str:
    """The token with another signature."""
    content, _, _ = token.rpartition(".")
    return f"{content}.{secrets.token_urlsafe(64)[:86]}"


def bearer(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


async def at_the_door(client: httpx.AsyncClient, _suite: Suite, key: str) -> httpx.Response:
    return await client.get(ME, headers={"X-API-Key": key})


async def as_a_client(client: httpx.AsyncClient, _suite: Suite, key: str) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": key.rpartition("_")[0], "client_secret": key}
    return await client.post(TOKEN, data=form)


async def at_another_service(client: httpx.AsyncClient, suite: Suite, key: str) -> httpx.Response:
    headers = await service_headers(client, suite, "agents")
    return await client.post("/internal/api-keys/exchange", json={"key": key}, headers=headers)


@pytest.mark.parametrize("ask", [at_the_door, as_a_client, at_another_service])
async def test_a_wrong_secret_of_a_real_key(client: httpx.AsyncClient, suite: Suite, admin: Headers, ask: Any) -> None:
    user = await register_with(client)()
    key = await make_key(client, user)

    refused = await ask(client, suite, guess(key["key"]))

    [entry, _] = await noted(client, admin, target=key["id"])
    assert refused.status_code == 401
    assert (entry["action"], entry["tenant_id"]) == ("api_key.refused", user.tenant_id)
    assert entry["details"]["reason"] == "wrong_secret"
    assert entry["actor"] == ("service:agents" if ask is at_another_service else None)


async def test_keys_that_are_over(client: httpx.AsyncClient, admin: Headers) -> None:
    user = await register_with(client)()
    revoked, gone = await make_key(client, user), await make_key(client, user)
    await client.delete(f"{KEYS}/{revoked['id']}", headers=user.headers)
    await client.post(f"{KEYS}/{gone['id']}/rotate", json={"overlap_seconds": 0}, headers=user.headers)

    for key in (revoked, gone):
        assert (await client.get(ME, headers={"X-API-Key": key["key"]})).status_code == 401

    reasons = [(await noted(client, admin, target=key["id"]))[0]["details"]["reason"] for key in (revoked, gone)]
    assert reasons == ["revoked", "revoked"]


async def test_a_key_that_nobody_has_is_no_entry(client: httpx.AsyncClient, database: Database) -> None:
    key = (await make_key(client, await register_with(client)()))["key"]
    unknown = key.replace(key[11:23], secrets.token_hex(6))
    before = await count_entries(database, "api_key.refused")

    answer = await client.get(ME, headers={"X-API-Key": unknown[:-6] + _checksum(unknown[:-6])})

    assert answer.status_code == 401
    assert await count_entries(database, "api_key.refused") == before


async def test_a_forged_token_that_names_a_real_key(client: httpx.AsyncClient, admin: Headers) -> None:
    user = await register_with(client)()
    source = f"2001:db8:{secrets.randbits(16):x}:1::"

    answer = await client.get(ME, headers=bearer(forged(user.token)) | passed_on_from(source))

    key_ids = [key["kid"] for key in (await client.get("/api/v1/auth/jwks.json")).json()["keys"]]
    entry = next(one for one in await noted(client, admin, action="token.forged") if one["source"] == f"{source}/64")
    assert (answer.status_code, answer.json()["code"]) == (401, "common.unauthenticated")
    assert entry["target"] in key_ids
    assert entry["details"] == {"asked": "GET /api/v1/auth/me"}


async def test_a_forged_token_that_is_revoked_or_introspected(client: httpx.AsyncClient, admin: Headers) -> None:
    user = await register_with(client)()
    source = passed_on_from(f"2001:db8:{secrets.randbits(16):x}:1::")
    body = {"token": forged(user.token)}

    revoked = await client.post("/api/v1/auth/revoke", data=body, headers=source)
    looked_at = await client.post("/api/v1/auth/introspect", data=body, headers=admin | source)

    found = [one for one in await noted(client, admin, action="token.forged") if source["X-Real-IP"] in one["source"]]
    assert (revoked.status_code, looked_at.json()) == (200, {"active": False})
    assert len(found) == 2


async def test_a_forged_token_where_none_is_needed(client: httpx.AsyncClient, admin: Headers) -> None:
    token, source = forged((await register_with(client)()).token), f"2001:db8:{secrets.randbits(16):x}:1::"
    body = {"email": f"{secrets.token_hex(8)}@example.com", "password": "correct horse battery staple"}

    answer = await client.post("/api/v1/auth/register", json=body, headers=bearer(token) | passed_on_from(source))

    entry = next(one for one in await noted(client, admin, action="token.forged") if one["source"] == f"{source}/64")
    assert (answer.status_code, entry["details"]) == (401, {"asked": "POST /api/v1/auth/register"})


@pytest.mark.usefixtures("patient_repetitions")
async def test_a_refresh_token_that_comes_twice(client: httpx.AsyncClient, admin: Headers) -> None:
    user = await register_with(client)()

    for _ in range(3):
        assert (await refresh(client, user)).status_code == 200

    entries = await noted(client, admin, actor=user.user_id, action="session")
    assert [(one["action"], one["tenant_id"]) for one in entries] == [("session.token_repeated", user.tenant_id)]


async def test_a_guessed_invitation(client: httpx.AsyncClient, admin: Headers) -> None:
    source = f"2001:db8:{secrets.randbits(16):x}:1::"
    body = {"token": secrets.token_urlsafe(32), "password": "correct horse battery staple"}

    answer = await client.post("/api/v1/auth/invitations/accept", json=body, headers=passed_on_from(source))

    entry = next(
        one for one in await noted(client, admin, action="invitation.refused") if one["source"] == f"{source}/64"
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "auth.invitation_refused")
    assert (entry["actor"], entry["target"], entry["details"]) == (None, None, {})


async def test_a_service_with_a_wrong_secret(client: httpx.AsyncClient, admin: Headers) -> None:
    source = f"2001:db8:{secrets.randbits(16):x}:1::"
    form = {"grant_type": "client_credentials", "client_id": "chat", "client_secret": "wrong"}

    answer = await client.post(TOKEN, data=form, headers=passed_on_from(source))

    entry = next(one for one in await noted(client, admin, action="client") if one["source"] == f"{source}/64")
    assert answer.status_code == 401
    assert (entry["action"], entry["target"]) == ("client.refused", "chat")


async def test_2000_forged_tokens_from_as_many_sources_leave_a_bounded_number_of_entries(
    client: httpx.AsyncClient, database: Database, suite: Suite
) -> None:
    token = forged((await register_with(client)()).token)
    before = await count_entries(database, "token.forged")

    answers = [
        await client.get(ME, headers=bearer(token) | passed_on_from(f"10.7.{number // 256}.{number % 256}"))
        for number in range(FLOOD)
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert 0 < await count_entries(database, "token.forged") - before <= 3 * ROOM + 1
    assert (await verify(database, AuditLog(suite.environment("auth")["AUDIT_KEY"]))).is_good
