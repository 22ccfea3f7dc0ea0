"""A key that turned up somewhere: administrators learn whose it is, and end it."""

from typing import Any

import httpx
import pytest

from tests.fixtures.identity import User, register_with

KEYS = "/api/v1/auth/api-keys"


async def created(client: httpx.AsyncClient, user: User) -> dict[str, Any]:
    body = {"name": "ci", "scopes": ["auth:profile"]}
    answer: dict[str, Any] = (await client.post(KEYS, json=body, headers=user.headers)).raise_for_status().json()
    return answer


async def find(client: httpx.AsyncClient, headers: dict[str, str], prefix: str) -> httpx.Response:
    return await client.post(f"{KEYS}/find", json={"prefix": prefix}, headers=headers)


async def test_a_prefix_or_a_whole_key_leads_to_its_owner(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user = await register_with(client)()
    key = await created(client, user)

    by_prefix, by_key = await find(client, admin, key["prefix"]), await find(client, admin, key["key"])

    assert by_prefix.json() == by_key.json()
    assert (by_key.status_code, by_key.json()["id"], by_key.json()["user_id"]) == (200, key["id"], user.user_id)
    assert by_key.json().keys() == (key.keys() - {"key"}) | {"user_id", "tenant_id", "revoked_at"}


async def test_an_administrator_revokes_anybodys_key(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user = await register_with(client)()
    key = await created(client, user)
    used = {"X-API-Key": key["key"]}
    before = await client.get("/api/v1/auth/me", headers=used)

    revoked = await client.delete(f"{KEYS}/{key['id']}", headers=admin)

    after, found = await client.get("/api/v1/auth/me", headers=used), await find(client, admin, key["key"])
    assert [answer.status_code for answer in (before, revoked, after)] == [200, 204, 401]
    assert found.json()["revoked_at"] is not None


async def test_the_log_names_the_administrator_and_the_owners_tenant(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    user = await register_with(client)()
    key = await created(client, user)
    await client.delete(f"{KEYS}/{key['id']}", headers=admin)

    entries = await client.get("/api/v1/auth/audit", params={"target": key["id"]}, headers=admin)

    entry = entries.json()["items"][0]
    me = (await client.get("/api/v1/auth/me", headers=admin)).json()["id"]
    assert (entry["action"], entry["actor"], entry["tenant_id"]) == ("api_key.revoked", me, user.tenant_id)


async def test_a_pasted_key_is_not_logged(
    client: httpx.AsyncClient, admin: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    key = await created(client, await register_with(client)())
    caplog.clear()

    with caplog.at_level("DEBUG"):
        await find(client, admin, key["key"])
        malformed = await find(client, admin, f"x{key['key']}")

    secret = key["key"].removeprefix(key["prefix"])
    assert caplog.records
    assert secret not in caplog.text + malformed.text


@pytest.mark.parametrize(
    ("prefix", "status"),
    [("sutaz_live_AAAAAAAAAAAA", 404), ("sutaz_live_AAAAAAAAAAAA_", 404), ("sutaz_live_AAAA", 422), ("", 422)],
)
async def test_what_is_no_key_of_ours_is_found_nowhere(
    client: httpx.AsyncClient, admin: dict[str, str], prefix: str, status: int
) -> None:
    assert (await find(client, admin, prefix)).status_code == status


async def test_users_cannot_ask_whose_key_it_is(client: httpx.AsyncClient, user: User) -> None:
    key = await created(client, user)

    assert (await find(client, user.headers, key["prefix"])).status_code == 403
