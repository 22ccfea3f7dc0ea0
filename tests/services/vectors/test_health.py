"""vectors' readiness notices a catalogue and engines that answer and keep nothing; its own points are nobody's."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from local.suite import Suite
from services.vectors.adapters.probing import reserved
from services.vectors.domain import EngineName
from shared.door import Once
from tests.fixtures.apps import ServiceClient
from tests.fixtures.disks import small_disk
from tests.fixtures.identity import User
from tests.fixtures.readiness import until_check

Break = Callable[[Path], AbstractContextManager[None]]
COLLECTIONS = "/api/v1/vectors/collections"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Its writers wait; its readers do not."""
    connection = sqlite3.connect(file, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def edge_of(data_dir: Path) -> int:
    """The process of the engine that works in `data_dir`."""
    wanted = str(data_dir / "qdrant")
    [pid] = [each.pid for each in psutil.process_iter(["cmdline"]) if wanted in (each.info["cmdline"] or [])]
    return pid


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def vectors(open_vectors: ServiceClient, data_dir: Path, user: User) -> AsyncIterator[httpx.AsyncClient]:
    async with open_vectors("vectors", data_dir=data_dir, qdrant_url=None) as client:
        client.headers.update(user.headers)
        for name in ("catalogue", "qdrant", "chromadb", "faiss"):
            await until_check(client, name, "pass")
        yield client


def breaking(name: str, suite: Suite, data_dir: Path) -> AbstractContextManager[None]:
    match name:
        case "catalogue":
            return locked(data_dir / "catalogue.db")
        case "faiss":
            return locked(data_dir / "faiss" / f"{reserved(EngineName.FAISS).id}.db")
        case "qdrant":
            return stopped(edge_of(data_dir))
        case _:
            return locked(suite.site.layout.home / "chromadb" / "chroma.sqlite3")


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("catalogue", "fail", 503), ("faiss", "warn", 200), ("qdrant", "warn", 200), ("chromadb", "warn", 200)],
)
async def test_what_takes_no_writes_is_told_and_back_by_itself(
    vectors: httpx.AsyncClient, suite: Suite, data_dir: Path, name: str, status: str, code: int
) -> None:
    with await asyncio.to_thread(breaking, name, suite, data_dir):
        told = await until_check(vectors, name, status, code=code)
        assert (await vectors.get(COLLECTIONS)).status_code == 200

    assert told["code"] == code
    assert "free space" in told["detail"]
    await until_check(vectors, name, "pass")


async def test_points_of_health_checks_can_be_neither_listed_nor_named(vectors: httpx.AsyncClient) -> None:
    listed = (await vectors.get(COLLECTIONS)).json()
    named = await vectors.get(f"{COLLECTIONS}/health")
    searched = await vectors.post("/api/v1/vectors/search", json={"collection": "health", "vector": [1, 0]})

    assert listed["items"] == []
    assert (named.status_code, searched.status_code) == (404, 404)
    assert reserved(EngineName.FAISS).id != Once(bytes(32), bytes(32)).id_at(0)


async def test_a_full_disk_is_507_and_nothing_is_lost_by_it(
    open_vectors: ServiceClient, user: User, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        async with open_vectors("vectors", data_dir=disk.path) as client:
            client.headers.update(user.headers)
            made = await client.post(COLLECTIONS, json={"name": "full", "engine": "faiss", "dimension": 2})
            assert made.status_code == 201, made.text
            items = [{"id": str(number), "vector": [3, 4], "text": "x" * 10_000} for number in range(500)]
            first = await client.post("/api/v1/vectors/store", json={"collection": "full", "items": items[:1]})
            assert first.status_code == 200, first.text
            disk.fill(free_mib=0)

            refused = await client.post("/api/v1/vectors/store", json={"collection": "full", "items": items})

            assert (refused.status_code, refused.json()["code"]) == (507, "common.storage_full")
            assert refused.json()["detail"] == "faiss has no room to write now."
            disk.free()
            stored = await client.post("/api/v1/vectors/store", json={"collection": "full", "items": items})
            assert stored.status_code == 200, stored.text
            assert (await client.delete(f"{COLLECTIONS}/full")).status_code == 204
