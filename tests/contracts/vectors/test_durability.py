"""What an engine of this process acknowledged survives the process being killed."""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from local.layout import REPOSITORY
from services.vectors.adapters.catalogue_sqlite import SqliteCatalogue
from services.vectors.adapters.faiss import FaissEngine
from services.vectors.adapters.qdrant_edge import QdrantEdgeEngine
from services.vectors.backends import open_backends
from services.vectors.domain import Collection
from services.vectors.ports import VectorEngine
from services.vectors.records.filters import parse
from services.vectors.settings import Settings
from shared.errors import Unavailable
from tests.contracts.vectors.conftest import COSINE, a_collection
from tests.contracts.vectors.language import leaf
from tests.fixtures.patience import PATIENCE_SECONDS

OpenEngine = Callable[[Path], VectorEngine]
_OPEN: dict[str, OpenEngine] = {
    "faiss": lambda directory: FaissEngine(directory, threads=1, max_bytes=2**26),
    "edge": lambda directory: QdrantEdgeEngine(directory, timeout_seconds=30),
}


@pytest.fixture(params=list(_OPEN))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def opened(kind: str, directory: Path) -> AsyncIterator[VectorEngine]:
    engine = _OPEN[kind](directory)
    try:
        yield engine
    finally:
        await engine.aclose()


async def test_records_are_there_after_closing_and_opening(kind: str, tmp_path: Path) -> None:
    collection = a_collection()
    async with opened(kind, tmp_path) as engine:
        await engine.create_collection(collection)
        await engine.upsert(collection, [COSINE.record(f"{at}", 1, at, 0, 0, text=f"t{at}", n=at) for at in range(50)])
        await engine.delete(collection, ["7", "13"])
        await engine.upsert(collection, [COSINE.record("8", 0, 0, 0, 1, text="new", n=-8)])

    async with opened(kind, tmp_path) as engine:
        assert await engine.count(collection) == 48
        (match,) = await engine.search(collection, COSINE.vector(0, 0, 0, 1), 1, parse(leaf("n", "lt", 0)))
        assert (match.id, match.text, match.metadata) == ("8", "new", {"n": -8})
        assert await engine.find(collection, "13") is None


async def test_a_killed_process_loses_nothing_acknowledged(kind: str, tmp_path: Path) -> None:
    """The writer prints a record's id once the engine has answered; it is killed with SIGKILL in the middle."""
    collection = a_collection()
    async with opened(kind, tmp_path) as engine:
        await engine.create_collection(collection)

    acknowledged = await _write_and_kill(kind, tmp_path, collection.id, after=40)

    async with opened(kind, tmp_path) as engine:
        for record_id in acknowledged:
            record = await engine.find(collection, record_id)
            assert record is not None, f"{record_id} of {len(acknowledged)}"
            assert record.text == f"text of {record_id}"
        found = await engine.search(collection, COSINE.vector(1, 0, 0, 0), 1000, parse(leaf("written", "eq", True)))
        assert {match.id for match in found} >= set(acknowledged)


async def _write_and_kill(kind: str, directory: Path, collection_id: str, after: int) -> list[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.contracts.vectors.endless_writer", kind, str(directory), collection_id),
        stdout=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
        start_new_session=True,
    )
    assert process.stdout is not None
    acknowledged = [(await process.stdout.readline()).decode().strip() for _ in range(after)]
    for pid in [process.pid, *_children(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    acknowledged += (await process.stdout.read()).decode().split()
    await process.wait()
    return acknowledged


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_edge_answers_again_after_its_own_process_was_killed(tmp_path: Path) -> None:
    collection = a_collection()
    async with opened("edge", tmp_path) as engine:
        await engine.create_collection(collection)
        await engine.upsert(collection, [COSINE.record("a", 1, 0, 0, 0)])
        (child,) = [pid for pid in _children(os.getpid()) if str(tmp_path) in _command_line(pid)]
        os.kill(child, signal.SIGKILL)

        assert await _eventually_counts(engine, collection) == 1


async def _eventually_counts(engine: VectorEngine, collection: Collection) -> int:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await engine.count(collection)
            except Unavailable:
                await asyncio.sleep(0.05)


def _command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def test_edge_ends_with_the_service(tmp_path: Path) -> None:
    async with opened("edge", tmp_path) as engine:
        await engine.check()
        mine = [pid for pid in _children(os.getpid()) if str(tmp_path) in _command_line(pid)]
        assert len(mine) == 1

    assert not [pid for pid in _children(os.getpid()) if str(tmp_path) in _command_line(pid)]


async def test_the_catalogue_is_there_after_closing_and_opening(tmp_path: Path) -> None:
    collection = a_collection()
    catalogue = SqliteCatalogue(tmp_path / "catalogue.db")
    assert await catalogue.insert(collection)
    await catalogue.aclose()

    catalogue = SqliteCatalogue(tmp_path / "catalogue.db")
    assert await catalogue.find(collection.tenant_id, collection.name) == collection
    await catalogue.aclose()


@pytest.mark.parametrize("qdrant_url", [None, "http://127.0.0.1:9"])
async def test_a_second_process_cannot_open_the_folder(tmp_path: Path, qdrant_url: str | None) -> None:
    """A lock of another open file is refused in this process as it is in another."""
    settings = Settings(
        environment="local",
        redis_url="redis://127.0.0.1",
        rabbitmq_url="amqp://127.0.0.1",
        chromadb_url="http://127.0.0.1:9",
        qdrant_url=qdrant_url,
        data_dir=tmp_path,
        cursor_secret="x" * 32,
        client_secret="x" * 32,
    )
    async with open_backends(settings):
        with (tmp_path / "lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
