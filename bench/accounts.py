"""People of the real auth service, made through its own routes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
PASSWORD = "correct horse battery staple 4711"
_AT_ONCE = 16  # fewer than may wait for the hashing pool


def emails(count: int) -> list[str]:
    return [f"user-{number}@example.com" for number in range(count)]


def register(auth_url: str, addresses: Sequence[str]) -> None:
    async def one(client: httpx.AsyncClient, email: str) -> None:
        body = {"email": email, "password": PASSWORD}
        (await client.post("/api/v1/auth/register", json=body)).raise_for_status()

    each(auth_url, addresses, one)


def log_in(auth_url: str, addresses: Sequence[str]) -> list[str]:
    """An access token for each."""

    async def one(client: httpx.AsyncClient, email: str) -> Any:
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        return (await client.post("/api/v1/auth/token", data=form)).raise_for_status().json()["access_token"]

    return each(auth_url, addresses, one)


def create_keys(auth_url: str, tokens: Sequence[str], scopes: Sequence[str] = ("agents:read",)) -> list[str]:
    """An API key for each."""

    async def one(client: httpx.AsyncClient, token: str) -> Any:
        body = {"name": "bench", "scopes": list(scopes)}
        answer = await client.post("/api/v1/auth/api-keys", json=body, headers={"Authorization": f"Bearer {token}"})
        return answer.raise_for_status().json()["key"]

    return each(auth_url, tokens, one)


def create_agents(agents_url: str, tokens: Sequence[str]) -> list[str]:
    """The id of an agent for each."""

    async def one(client: httpx.AsyncClient, token: str) -> Any:
        body = {"name": "bench", "instructions": "Answer in one sentence."}
        answer = await client.post("/api/v1/agents/create", json=body, headers={"Authorization": f"Bearer {token}"})
        return answer.raise_for_status().json()["id"]

    return each(agents_url, tokens, one)


def who_is(auth_url: str, token: str) -> dict[str, str]:
    """The tenant and the user that a token is of, by the names of their members."""
    answer = httpx.get(f"{auth_url}/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    told = answer.raise_for_status().json()
    return {"tenant_id": told["tenant_id"], "user_id": told["id"]}


def each(base_url: str, items: Sequence[T], one: Callable[[httpx.AsyncClient, T], Awaitable[Any]]) -> list[Any]:
    """What `one` gives for every item, a few at a time."""

    async def all_of_them() -> list[Any]:
        turn = asyncio.Semaphore(_AT_ONCE)
        async with httpx.AsyncClient(base_url=base_url, timeout=30) as client:

            async def in_turn(item: T) -> Any:
                async with turn:
                    return await one(client, item)

            return await asyncio.gather(*(in_turn(item) for item in items))

    return asyncio.run(all_of_them())
