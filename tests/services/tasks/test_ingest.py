"""`vectors.ingest` over the real vectors service: what a killed worker had stored is not embedded again."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from local.suite import Suite
from tests.fixtures.identity import User
from tests.fixtures.inside import client_of
from tests.services.tasks.running import FINAL, Installation, Tasks

TEXT = "\n\n".join(f"Guest number {n} of the inn came by the {n}th coach of the year." for n in range(260))


@pytest.fixture(scope="session")
async def vectors(suite: Suite) -> AsyncIterator[httpx.AsyncClient]:
    """The real service."""
    suite.up(["vectors"])
    async with client_of(suite, "vectors") as client:
        yield client


@pytest.mark.timeout(300)
async def test_a_killed_workers_chunks_are_not_embedded_again(
    new_installation: Callable[[], Installation], vectors: httpx.AsyncClient, user: User
) -> None:
    installation = new_installation()
    given = {"collection": "killed", "documents": [{"id": "inn", "text": TEXT}], "chunk_size": 100, "chunk_overlap": 0}
    async with installation.api() as client:
        tasks = Tasks(client, user)
        task = await tasks.submit("vectors.ingest", given | {"engine": "faiss"})
        async with installation.worker_process(halts_halfway=True) as process:
            half = await tasks.wait(task, lambda read: read["progress"]["done"] or read["status"] in FINAL, seconds=120)
            process.kill()
            await process.ended()
        async with installation.worker_process(lease_seconds=30):  # a third of it passes before anybody is missed
            done = await tasks.wait(task, seconds=180)

    assert half["status"] == "running", half
    assert done["status"] == "succeeded", done
    assert done["attempt"] == 2
    assert done["result"]["chunks"] == 260
    assert done["result"]["unchanged"] >= half["progress"]["done"] >= 64
    asked = {"filter": '{"field": "document_id", "op": "eq", "value": "inn"}', "count": "true", "limit": "1"}
    answer = await vectors.get("/api/v1/vectors/collections/killed/records", params=asked, headers=user.headers)
    assert answer.raise_for_status().json()["count"] == 260
