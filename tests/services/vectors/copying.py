"""A copy as the worker drives it, and what is the same of two collections."""

from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from shared.schemas import new_id

API = "/api/v1/vectors"
COPIES = "/internal/copies"


@dataclass
class Copying:
    """One copy, from `source` to `target`; asked through any client."""

    source: str
    target: str
    id: str = field(default_factory=new_id)

    async def begin(self, client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
        body = {"id": self.id, "source": self.source, "target": self.target, **fields}
        return await client.post(COPIES, json=body)

    async def step(self, client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
        return await client.post(f"{COPIES}/step", json={"id": self.id, "target": self.target, **fields})

    async def until(self, client: httpx.AsyncClient, *phases: str, **fields: Any) -> dict[str, Any]:
        """Steps until it is in one of the phases."""
        for _ in range(1000):
            answer = await self.step(client, **fields)
            assert answer.is_success, answer.text
            copy: dict[str, Any] = answer.json()
            if copy["phase"] in phases:
                return copy
        raise AssertionError(f"{self.source} was not copied in a thousand steps")


async def records_of(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    """All of a collection by id: text, metadata and vector."""
    found: dict[str, Any] = {}
    cursor: dict[str, str] = {}
    while True:
        params = {"limit": "100", "include_vectors": "true", **cursor}
        answer = await client.get(f"{API}/collections/{name}/records", params=params)
        assert answer.is_success, answer.text
        page = answer.json()
        found |= {one["id"]: (one["text"], one["metadata"], one["vector"]) for one in page["items"]}
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The ids whose records are not the same, vectors as far as 32 bits go."""
    both = one.keys() & other.keys()
    return sorted(one.keys() ^ other.keys()) + sorted(
        record_id for record_id in both if _differ(one[record_id], other[record_id])
    )


def _differ(one: Any, other: Any) -> bool:
    return one[:2] != other[:2] or not np.allclose(one[2], other[2], rtol=1e-5, atol=1e-6)
