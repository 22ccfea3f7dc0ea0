"""Vector stores as a client of OpenAI's asks for them, over plain HTTP."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import httpx

from tests.fixtures.identity import User

FILES, STORES = "/api/v1/files", "/api/v1/vector_stores"
GUIDE = b"# Refunds\n\nRefunds are paid within 14 days.\n\n# Shipping\n\nParcels to Iceland take nine days by ship.\n"
LIMIT_SECONDS = 60


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


@dataclass(frozen=True)
class Stores:
    """As one user."""

    client: httpx.AsyncClient
    user: User

    def by(self, user: User) -> "Stores":
        return replace(self, user=user)

    async def call(self, method: str, path: str = "", **asked: Any) -> httpx.Response:
        headers = self.user.headers | asked.pop("headers", {})
        return await self.client.request(method, f"{STORES}{path}", headers=headers, **asked)

    async def done(self, method: str, path: str = "", **asked: Any) -> dict[str, Any]:
        answer = await self.call(method, path, **asked)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def upload(self, content: bytes = GUIDE, name: str = "guide.md") -> str:
        form: dict[str, tuple[str | None, bytes | str]] = {"file": (name, content), "purpose": (None, "assistants")}
        answer = await self.client.post(FILES, files=form, headers=self.user.headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def made(self, engine: str = "faiss", **about: Any) -> str:
        store = await self.done("POST", json={"metadata": {"engine": engine}, **about})
        return str(store["id"])

    async def attach(self, store: str, file_id: str, **about: Any) -> dict[str, Any]:
        return await self.done("POST", f"/{store}/files", json={"file_id": file_id, **about})

    async def ended(self, store: str, file_id: str, path: str = "files") -> dict[str, Any]:
        """The file, or the batch, once it is not in progress any more."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                read = await self.done("GET", f"/{store}/{path}/{file_id}")
                if read["status"] != "in_progress":
                    return read
                await asyncio.sleep(0.1)

    async def ingested(self, store: str, content: bytes = GUIDE, name: str = "guide.md", **about: Any) -> str:
        file_id = await self.upload(content, name)
        await self.attach(store, file_id, **about)
        ended = await self.ended(store, file_id)
        assert ended["status"] == "completed", ended
        return file_id

    async def search(self, store: str, query: str | list[str], **asked: Any) -> list[dict[str, Any]]:
        page = await self.done("POST", f"/{store}/search", json={"query": query, **asked})
        return list(page["data"])

    async def records(self, store: str) -> int:
        path = f"/api/v1/vectors/collections/{store}/records"
        answer = await self.client.get(path, params={"count": "true"}, headers=self.user.headers)
        return int(answer.raise_for_status().json()["count"])
