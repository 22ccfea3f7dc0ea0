"""`vectors.copy` by real workers: what one leaves another finishes, and a cancelled one leaves nothing."""

import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from local.suite import Suite
from shared.schemas import new_id
from tests.fixtures.http import authorities
from tests.fixtures.identity import User
from tests.services.tasks.running import Installation, Tasks, eventually
from tests.services.vectors.copying import API, differences, records_of

_RECORDS = 3000


@pytest.fixture(scope="module")
async def vectors(suite: Suite, user: User) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["vectors"])
    headers = {"Authorization": user.headers["Authorization"]}
    async with httpx.AsyncClient(
        base_url=suite.url("vectors"), headers=headers, verify=authorities(), timeout=60
    ) as client:
        yield client


@pytest.fixture
async def given(vectors: httpx.AsyncClient) -> dict[str, Any]:
    """A copy of a collection that takes a dozen steps, with an alias."""
    mark = new_id()[-12:]
    source, target, alias = f"from-{mark}", f"to-{mark}", f"now-{mark}"
    made = await vectors.post(f"{API}/collections", json={"name": source, "engine": "faiss", "dimension": 3})
    assert made.is_success, made.text
    for start in range(0, _RECORDS, 1000):
        items = [
            {"id": f"r{at}", "vector": [at, 1, at % 7], "metadata": {"n": at}} for at in range(start, start + 1000)
        ]
        stored = await vectors.post(f"{API}/store", json={"collection": source, "items": items})
        assert stored.is_success, stored.text
    assert (await vectors.put(f"{API}/aliases/{alias}", json={"collection": source})).is_success
    return {"source": source, "target": target, "engine": "qdrant", "alias": alias}


def is_halfway(task: dict[str, Any]) -> bool:
    return bool(task["progress"]["done"])


async def test_what_a_killed_worker_left_another_finishes(
    new_installation: Callable[[], Installation], vectors: httpx.AsyncClient, user: User, given: dict[str, Any]
) -> None:
    installation = new_installation()
    async with installation.api() as client:
        tasks = Tasks(client, user)
        async with installation.worker_process(halts_halfway=True) as process:
            task = await tasks.submit("vectors.copy", given)
            halfway = await tasks.wait(task, is_halfway)
            process.kill()
        assert halfway["status"] == "running"
        changed = await vectors.delete(f"{API}/collections/{given['alias']}/records/r1")
        assert changed.status_code == 204
        async with installation.worker():
            ended = await tasks.wait(task, seconds=90)

    assert (ended["status"], ended["result"]["count"]) == ("succeeded", _RECORDS - 1), ended
    assert (await vectors.get(f"{API}/aliases/{given['alias']}")).json()["collection"] == given["target"]
    source = await records_of(vectors, given["source"])
    assert differences(source, await records_of(vectors, given["target"])) == []


async def test_a_cancelled_one_takes_the_target_with_it(
    new_installation: Callable[[], Installation], vectors: httpx.AsyncClient, user: User, given: dict[str, Any]
) -> None:
    installation = new_installation()
    async with installation.api() as client, installation.worker_process(halts_halfway=True) as process:
        tasks = Tasks(client, user)
        task = await tasks.submit("vectors.copy", given)
        await tasks.wait(task, is_halfway)
        assert (await tasks.cancel(task)).is_success
        process.send_signal(signal.SIGCONT)
        assert (await tasks.wait(task))["status"] == "cancelled"

        async def is_gone() -> bool:
            return (await vectors.get(f"{API}/collections/{given['target']}")).status_code == 404

        await eventually(is_gone)
    read = (await vectors.get(f"{API}/collections/{given['alias']}")).json()
    assert (read["name"], read["count"]) == (given["source"], _RECORDS)


async def test_one_that_cannot_succeed_says_why(
    new_installation: Callable[[], Installation], vectors: httpx.AsyncClient, user: User, given: dict[str, Any]
) -> None:
    installation = new_installation()
    async with installation.api() as client, installation.worker():
        tasks = Tasks(client, user)
        ended = await tasks.run("vectors.copy", given | {"model": "multilingual-e5-small"})

    assert (ended["status"], ended["error"]["code"]) == ("failed", "vectors.copy_text_missing")
    assert (await vectors.get(f"{API}/collections/{given['target']}")).status_code == 404


async def test_what_a_task_left_that_used_up_its_attempts_is_in_nobodys_way(
    new_installation: Callable[[], Installation], vectors: httpx.AsyncClient, user: User, given: dict[str, Any]
) -> None:
    """Its worker was killed, so that nobody took the target away: the next copy to it does."""
    installation = new_installation()
    async with installation.api() as client:
        tasks = Tasks(client, user)
        async with installation.worker_process(halts_halfway=True) as process:
            task = await tasks.submit("vectors.copy", given, max_attempts=1)
            await tasks.wait(task, is_halfway)
            process.kill()
        async with installation.worker():
            lost = await tasks.wait(task)
            left = (await vectors.get(f"{API}/collections/{given['target']}")).json()
            ended = await tasks.wait(await tasks.submit("vectors.copy", given), seconds=90)

    assert (lost["status"], lost["error"]["code"], left["status"]) == ("failed", "tasks.worker_lost", "filling")
    assert (ended["status"], ended["result"]["count"]) == ("succeeded", _RECORDS), ended
    assert (await vectors.get(f"{API}/aliases/{given['alias']}")).json()["collection"] == given["target"]


async def test_what_a_task_left_of_the_same_source_is_in_nobodys_way(
    new_installation: Callable[[], Installation], vectors: httpx.AsyncClient, user: User, given: dict[str, Any]
) -> None:
    """It is cancelled after its worker was killed; the next copy goes to another name."""
    installation = new_installation()
    async with installation.api() as client:
        tasks = Tasks(client, user)
        async with installation.worker_process(halts_halfway=True) as process:
            task = await tasks.submit("vectors.copy", given)
            await tasks.wait(task, is_halfway)
            process.kill()
        assert (await tasks.cancel(task)).is_success
        async with installation.worker():
            stopped = await tasks.wait(task)
            other = given | {"target": f"{given['target']}-2"}
            ended = await tasks.wait(await tasks.submit("vectors.copy", other), seconds=90)

    assert (stopped["status"], ended["status"]) == ("cancelled", "succeeded"), ended
    assert (await vectors.get(f"{API}/collections/{given['target']}")).status_code == 404
