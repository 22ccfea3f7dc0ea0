"""Several users in one tenant, through invitations."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

import httpx

from tests.fixtures.identity import User

INVITATIONS, MEMBERS, ME, TOKEN = (f"/api/v1/auth/{name}" for name in ("invitations", "members", "me", "token"))
Join = Callable[..., Awaitable[User]]


class Letters:
    """What was sent, as it lies in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def to(self, email: str) -> list[EmailMessage]:
        """Oldest first."""
        parser = BytesParser(policy=policy.default)
        letters = [parser.parsebytes(path.read_bytes()) for path in sorted(self._folder.glob("*.eml"))]
        return [letter for letter in letters if letter["To"] == email]

    def token(self, email: str) -> str:
        """The one of the last letter."""
        return token_in(self.to(email)[-1])


def token_in(letter: EmailMessage) -> str:
    found = re.search(r"^ {4}([\w-]{43})\r?$", str(letter.get_content()), re.MULTILINE)
    assert found
    return found[1]


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
        (await invite(client, owner, user.email, role)).raise_for_status()
        (await accept(client, letters.token(user.email), user.password)).raise_for_status()
        return await log_in(client, user, owner.tenant_id)

    return join
