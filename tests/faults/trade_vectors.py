"""Records of one engine: stored under a key, replaced, deleted, read and searched."""

import random
from typing import Any

from tests.faults.answers import Caller
from tests.faults.ledger import Findings
from tests.faults.trades import API, Trade, pages

_DIMENSION = 8
# Its index finds neighbours nearly always, by its own account; the others here look at every record.
_APPROXIMATE = "chroma"


class Vectors(Trade):
    """A collection in which as many records are as were stored."""

    def __init__(self, caller: Caller, mark: str, engine: str) -> None:
        super().__init__(caller, mark)
        self._engine, self._vectors = engine, dict[str, list[float]]()

    async def prepare(self) -> None:
        body = {"name": self.mark, "engine": self._engine, "dimension": _DIMENSION, "metric": "l2"}
        await self.caller.create(f"{API}/vectors/collections", 201, json=body)

    async def turn(self) -> None:
        await self._store([{"vector": _vector()} for _ in range(3)])
        record_id = random.choice(list(self._vectors))
        await self._store([{"id": record_id, "vector": _vector()}])
        await self._search(record_id)
        if len(self._vectors) % 4 == 0:
            await self._delete(random.choice(list(self._vectors)))

    async def _store(self, items: list[dict[str, Any]]) -> None:
        body = {"collection": self.mark, "items": items}
        stored = (await self.caller.create(f"{API}/vectors/store", 200, json=body)).json()
        self._vectors |= {key: item["vector"] for key, item in zip(stored["ids"], items, strict=True)}

    async def _search(self, record_id: str) -> None:
        body = {"collection": self.mark, "vector": self._vectors[record_id], "k": 3}
        found = (await self.caller.ask("POST", f"{API}/vectors/search", 200, json=body)).json()["results"]
        ids = [match["id"] for match in found]
        self.caller.wrong_unless(bool(ids) and set(ids) <= self._vectors.keys(), f"{self._engine} found {ids}")
        if self._engine != _APPROXIMATE:
            self.caller.wrong_unless(ids[:1] == [record_id], f"{self._engine} found {ids} for {record_id}")

    async def _delete(self, record_id: str) -> None:
        path = f"{API}/vectors/collections/{self.mark}/records/{record_id}"
        await self.caller.insist("DELETE", path, 204, 404)  # 404: an attempt before was carried out
        del self._vectors[record_id]

    async def read_back(self) -> Findings:
        findings, path = Findings(), f"{API}/vectors/collections/{self.mark}"
        count = (await self.caller.insist("GET", path, 200)).json()["count"]
        if count > len(self._vectors):
            findings.twice.append(f"{self._engine}: {count} records of {len(self._vectors)}")
        records = pages(self.caller, f"{path}/records", include_vectors=True)
        found = {record["id"]: record["vector"] async for record in records}
        for record_id, vector in self._vectors.items():
            read = found.get(record_id) or []
            near = len(read) == _DIMENSION and all(abs(a - b) < 1e-5 for a, b in zip(read, vector, strict=True))
            findings.kept(f"{self._engine} record {record_id}", holds=near)
        return findings


def _vector() -> list[float]:
    return [random.uniform(-1, 1) for _ in range(_DIMENSION)]
