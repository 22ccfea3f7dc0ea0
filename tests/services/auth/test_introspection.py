"""RFC 7662: what a token is worth, told to services and administrators only."""

import httpx

from local.suite import Suite
from tests.fixtures.identity import User, admin_headers, register_with, service_headers

INTROSPECT = "/api/v1/auth/introspect"


async def ask(client: httpx.AsyncClient, headers: dict[str, str], token: str) -> httpx.Response:
    return await client.post(INTROSPECT, data={"token": token}, headers=headers)


async def test_a_service_learns_what_a_token_says(client: httpx.AsyncClient, suite: Suite) -> None:
    user = await register_with(client)(scope="agents:read auth:profile")
    service = await service_headers(client, suite, "chat")

    access = (await ask(client, service, user.token)).json()
    refresh = (await ask(client, service, user.refresh_token)).json()

    assert (access["active"], access["sub"], access["tid"]) == (True, user.user_id, user.tenant_id)
    assert access["scope"] == refresh["scope"] == "agents:read auth:profile"
    assert (refresh["active"], refresh["token_type"], refresh["sub"]) == (True, "refresh_token", user.user_id)


async def test_of_an_inactive_token_nothing_is_said(client: httpx.AsyncClient, suite: Suite) -> None:
    user = await register_with(client)()
    service = await service_headers(client, suite, "chat")
    await client.post("/api/v1/auth/logout", headers=user.headers)

    answers = [(await ask(client, service, token)).json() for token in (user.token, user.refresh_token, "unknown")]

    assert answers == [{"active": False}] * 3


async def test_an_administrator_may_ask_and_a_user_may_not(client: httpx.AsyncClient, suite: Suite, user: User) -> None:
    admin = await admin_headers(client, suite)

    assert (await ask(client, admin, user.token)).json()["active"] is True
    assert (await ask(client, user.headers, user.token)).status_code == 403
