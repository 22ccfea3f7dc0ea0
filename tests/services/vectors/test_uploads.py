"""Large uploads take places, of which nobody holds all; small ones need none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx

from services.vectors.records.bulk import UPLOADS
from shared.limits import Shares
from tests.fixtures.identity import User
from tests.services.vectors.test_records import STORE, collection

LARGE = 2**20 + 1


class Upload:
    """A large body that its sender does not end before it is told to."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def body(self) -> AsyncIterator[bytes]:
        yield b" " * LARGE
        self.begun.set()
        await self.go_on.wait()
        yield b"{}"


async def begun(client: httpx.AsyncClient, stack: AsyncExitStack, **request: Any) -> Upload:
    """An upload whose body is being read."""
    upload = Upload()
    headers = {"Content-Type": "application/json", **request.pop("headers", {})}
    sending = asyncio.create_task(client.post(STORE, content=upload.body(), headers=headers))

    async def end() -> None:
        upload.go_on.set()
        assert (await sending).status_code == 422  # `{}` is no upload, and its place was there for it

    stack.push_async_callback(end)
    await upload.begun.wait()
    return upload


async def test_one_users_uploads_leave_places_for_others(client: httpx.AsyncClient, other_user: User) -> None:
    name, share = await collection(client, "faiss", dimension=2), Shares("uploads", UPLOADS).of_a_user
    async with AsyncExitStack() as stack:
        for _ in range(share):
            await begun(client, stack)

        one_more = await client.post(STORE, content=b" " * LARGE, headers={"Content-Type": "application/json"})
        small = await client.post(STORE, json={"collection": name, "items": [{"vector": [1, 2]}]})
        await begun(client, stack, headers=other_user.headers)

    assert (one_more.status_code, one_more.json()["code"]) == (429, "common.share_taken")
    assert one_more.headers["Retry-After"]
    assert small.status_code == 200
