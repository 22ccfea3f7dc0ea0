"""vectors' app in process: its own data directory, the suite's Redis and ChromaDB."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pytest

from local.suite import Suite
from services.vectors.files.repository import FileRepository
from tests.fixtures.apps import ServiceClient, open_service
from tests.fixtures.identity import User
from tests.fixtures.node import NodeProcess, open_node_process
from tests.fixtures.patience import PATIENCE_SECONDS, patient_connections
from tests.services.vectors.kept_files import WatchedBlobs

Pair = tuple[httpx.AsyncClient, httpx.AsyncClient]
# An engine may begin with the call that a test makes, and this process stand still meanwhile: what it answers is asked.
PATIENT: Final = {
    "engine_timeout_seconds": PATIENCE_SECONDS,
    "files_timeout_seconds": PATIENCE_SECONDS,
    "request_timeout_seconds": PATIENCE_SECONDS,
}


@pytest.fixture(scope="module", autouse=True)
def patient_redis() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patient_connections(patched)
        yield


@pytest.fixture(scope="module")
async def client(
    suite: Suite, auth: httpx.AsyncClient, user: User, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """As `user`, whose token is sent unless a test sends another."""
    suite.up(["redis-cache", "chromadb"])

    async def as_user(request: httpx.Request) -> None:
        request.headers.setdefault("Authorization", user.headers["Authorization"])

    async with open_service(suite)("vectors", data_dir=tmp_path_factory.mktemp("vectors"), **PATIENT) as opened:
        opened.event_hooks = {"request": [as_user]}
        yield opened


@pytest.fixture
def open_vectors(suite: Suite, auth: httpx.AsyncClient, service_client: ServiceClient) -> ServiceClient:
    """Opens further apps, with other settings."""
    suite.up(["redis-cache", "chromadb"])
    return partial(service_client, **PATIENT)


@pytest.fixture(scope="module")
async def node(
    suite: Suite, auth: httpx.AsyncClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[NodeProcess]:
    suite.up(["redis-cache", "chromadb"])
    async with open_node_process(suite, tmp_path_factory.mktemp("node")) as process:
        yield process


@pytest.fixture(scope="module")
async def pair(
    suite: Suite, node: NodeProcess, user: User, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    """Two replicas, asked as `user` unless a test says otherwise."""

    async def as_user(request: httpx.Request) -> None:
        request.headers.setdefault("Authorization", user.headers["Authorization"])

    opened = partial(open_service(suite, is_watched=False), **PATIENT)
    nothing, files = tmp_path_factory.mktemp("nothing"), tmp_path_factory.mktemp("files")
    async with (
        opened("vectors", faiss_url=node.url, data_dir=nothing, files_dir=files) as one,
        opened("vectors", faiss_url=node.url, data_dir=nothing, files_dir=files) as other,
    ):
        for client in (one, other):
            client.event_hooks = {"request": [as_user]}
        yield one, other
    assert list(nothing.iterdir()) == []


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[WatchedBlobs]:
    opened = WatchedBlobs(tmp_path / "files", 20)
    await opened.open()
    yield opened
    await opened.aclose()


@pytest.fixture
def files(blobs: WatchedBlobs) -> FileRepository:
    return FileRepository(blobs)
