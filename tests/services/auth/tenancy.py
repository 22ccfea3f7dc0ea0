"""Several users in one tenant, through invitations."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx

from tests.fixtures.identity import User
from tests.fixtures.letters import Letters, prove

INVITATIONS, MEMBERS, ME, TOKEN = (f"/api/v1/auth/{name}" for name in ("invitations", "members", "me", "token"))
Join = Callable[..., Awaitable[User]]


async def invite(client: httpx.AsyncClient, owner: User, email: str, role: str = "member") -> httpx.Response:
    return await client.post(INVITATIONS, json={"email": email, "role": role}, headers=owner.headers)


async def accept(client: httpx.AsyncClient, token: str, password: str, **fields: str) -> httpx.Response:
    return await client.post(f"{INVITATIONS}/accept", json={"token": token, "password": password} | fields)


async def log_in(client: httpx.AsyncClient, user: User, tenant_id: str) -> User:
    """The user with tokens of that tenant."""
    form = {"grant_type": "password", "username": user.email, "password": user.password, "tenant_id": tenant_id}
    tokens = (await client.post(TOKEN, data=form)).raise_for_status().json()
    return replace(user, tenant_id=tenant_id, token=tokens["access_token"], refresh_token=tokens["refresh_token"])


async def refresh(client: httpx.AsyncClient, user: User) -> httpx.Response:
    return await client.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": user.refresh_token})


def joining(client: httpx.AsyncClient, letters: Letters, register: Callable[[], Awaitable[User]]) -> Join:
    async def join(owner: User, role: str) -> User:
        """A new user who belongs to the owner's tenant and has a token of it."""
        user = await register()
        invited = await invite(client, owner, user.email, role)
        if invited.status_code == 403 and invited.json()["code"] == "auth.email_unverified":
            await prove(client, letters, owner.email)
            invited = await invite(client, owner, user.email, role)
        invited.raise_for_status()
        (await accept(client, letters.token(user.email), user.password)).raise_for_status()
        return await log_in(client, user, owner.tenant_id)

    return join
