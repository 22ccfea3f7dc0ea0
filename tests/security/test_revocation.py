"""S9: what ends access ends it everywhere, within a minute at the latest; here within seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.fixtures.identity import RegisterUser, User

# One operation of each service that any user may call, and what it answers to a caller it knows.
PROBES = {
    "auth": "/api/v1/auth/me",
    "agents": "/api/v1/agents/list",
    "chat": "/api/v1/chat/conversations",
    "vectors": "/api/v1/vectors/collections",
    "tasks": "/api/v1/tasks/list",
}
BOUND_SECONDS = 60
SCOPES = ["auth:profile", "agents:read", "chat:read", "vectors:read", "tasks:read"]


async def statuses(gateway: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, int]:
    answers = await asyncio.gather(*(gateway.get(path, headers=headers) for path in PROBES.values()))
    return {name: answer.status_code for name, answer in zip(PROBES, answers, strict=True)}


async def seconds_until_refused(gateway: httpx.AsyncClient, headers: dict[str, str]) -> float:
    """How long it takes until all five services refuse."""
    started = time.monotonic()
    while set((await statuses(gateway, headers)).values()) != {401}:
        assert time.monotonic() - started < BOUND_SECONDS, await statuses(gateway, headers)
        await asyncio.sleep(0.05)
    return time.monotonic() - started


async def log_out(gateway: httpx.AsyncClient, user: User) -> None:
    assert (await gateway.post("/api/v1/auth/logout", headers=user.headers)).status_code == 204


async def revoke_access_token(gateway: httpx.AsyncClient, user: User) -> None:
    assert (await gateway.post("/api/v1/auth/revoke", data={"token": user.token})).status_code == 200


async def revoke_refresh_token(gateway: httpx.AsyncClient, user: User) -> None:
    assert (await gateway.post("/api/v1/auth/revoke", data={"token": user.refresh_token})).status_code == 200


End = Callable[[httpx.AsyncClient, User], Awaitable[Any]]


@pytest.mark.parametrize("end", [log_out, revoke_access_token, revoke_refresh_token])
async def test_a_token_that_was_ended_is_refused_by_all_five_services(
    gateway: httpx.AsyncClient, register_user: RegisterUser, end: End
) -> None:
    user = await register_user()
    assert set((await statuses(gateway, user.headers)).values()) == {200}

    await end(gateway, user)

    assert await seconds_until_refused(gateway, user.headers) < BOUND_SECONDS


async def test_a_revoked_key_is_refused_by_all_five_services(
    gateway: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    user = await register_user()
    body = {"name": "leaked", "scopes": SCOPES}
    key = (await gateway.post("/api/v1/auth/api-keys", json=body, headers=user.headers)).json()
    with_key = {"X-API-Key": key["key"]}
    assert set((await statuses(gateway, with_key)).values()) == {200}

    await gateway.delete(f"/api/v1/auth/api-keys/{key['id']}", headers=user.headers)

    assert await seconds_until_refused(gateway, with_key) < BOUND_SECONDS


async def test_revoking_what_is_unknown_is_no_error_and_changes_nothing(
    gateway: httpx.AsyncClient, register_user: RegisterUser
) -> None:
    user = await register_user()

    answers = [
        await gateway.post("/api/v1/auth/revoke", data={"token": token})
        for token in ("unknown", "a.b.c", user.token[:-3] + "abc")
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert set((await statuses(gateway, user.headers)).values()) == {200}
