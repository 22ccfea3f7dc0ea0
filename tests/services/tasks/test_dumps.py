"""Exports and imports whose worker is killed in the middle, at the real vectors."""

import asyncio
import contextlib
import json
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import psutil
import pytest

from local.suite import Suite
from tests.fixtures.identity import User
from tests.fixtures.inside import client_of
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.warm import Program
from tests.services.tasks.running import Installation, Tasks, eventually

RECORDS = 10_000
API = "/api/v1/vectors"


@pytest.fixture(scope="module")
def installation(new_installation: Callable[[], Installation]) -> Installation:
    """Of these tests alone: who halts halfway does it with whatever task moves first."""
    return new_installation()


@pytest.fixture(scope="module")
async def tasks(installation: Installation, user: User) -> AsyncIterator[Tasks]:
    async with installation.api() as client:
        yield Tasks(client, user)


@pytest.fixture(scope="module")
async def vectors(suite: Suite, user: User) -> AsyncIterator[httpx.AsyncClient]:
    """As `user`."""
    suite.up(["vectors"])
    async with client_of(suite, "vectors") as client:
        client.headers.update(user.headers)
        yield client


def lines(name: str, records: int) -> bytes:
    collection = {"name": name, "engine": "faiss", "dimension": 8, "metric": "l2", "model": None}
    header = {"format": "sutazai.vectors", "version": 1, "collection": collection}
    made = [{"id": f"{at:05}", "metadata": {"at": at}, "vector": [at, 1, 2, 3, 4, 5, 6, 0.1]} for at in range(records)]
    return "\n".join(map(json.dumps, [header, *made])).encode()


async def uploaded(vectors: httpx.AsyncClient, content: bytes) -> str:
    answer = await vectors.post(f"{API}/files", files={"file": ("dump.jsonl", content)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def count(vectors: httpx.AsyncClient, name: str) -> int:
    return int((await vectors.get(f"{API}/collections/{name}")).json()["count"])


def is_under_way(task: dict[str, Any]) -> bool:
    assert task["status"] in ("queued", "running"), task
    return bool(0 < task["progress"]["done"] < (task["progress"]["total"] or 0))


async def killed(tasks: Tasks, task: dict[str, Any], process: Program) -> int:
    """Kill the worker in the middle of `task`; how far that had come. What it had started ends too."""
    await tasks.wait(task, until=is_under_way)
    children = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL)
    gone, alive = await asyncio.to_thread(psutil.wait_procs, children, PATIENCE_SECONDS)
    assert (len(gone), alive) == (len(children), [])
    return int((await tasks.get(task))["progress"]["done"])


@pytest.mark.timeout(300)
async def test_a_killed_import_goes_on_where_it_was(
    installation: Installation, tasks: Tasks, vectors: httpx.AsyncClient
) -> None:
    name = f"killed-{secrets.token_hex(4)}"
    task = await tasks.submit("vectors.import", {"file_id": await uploaded(vectors, lines(name, RECORDS))})
    async with installation.worker_process(halts_halfway=True) as process:
        done = await killed(tasks, task, process)
    there = await count(vectors, name)
    assert (await vectors.delete(f"{API}/collections/{name}/records/00000")).status_code == 204

    async with installation.worker():
        ended = await tasks.wait(task, seconds=120)

    assert (ended["status"], ended["attempt"], ended["progress"]["done"]) == ("succeeded", 2, RECORDS), ended
    assert done <= there < RECORDS
    # All of them, but for the one that was stored, and taken away by its owner, before the second attempt.
    assert await count(vectors, name) == RECORDS - 1
    assert (await vectors.get(f"{API}/collections/{name}/records/00000")).status_code == 404


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
async def test_a_killed_export_is_whole_in_the_end_and_there_once(
    installation: Installation, tasks: Tasks, vectors: httpx.AsyncClient, kind: str
) -> None:
    name = f"killed-{secrets.token_hex(4)}"
    items = [{"id": f"{at:05}", "vector": [at, 1]} for at in range(RECORDS // 2)]
    for at in range(0, len(items), 1000):
        assert (
            await vectors.post(f"{API}/store", json={"collection": name, "items": items[at : at + 1000]})
        ).is_success
    task = await tasks.submit("vectors.export", {"collection": name, "format": kind})
    async with installation.worker_process(halts_halfway=True) as process:
        await killed(tasks, task, process)

    async with installation.worker():
        ended = await tasks.wait(task, seconds=120)
        copied = await tasks.run(
            "vectors.import", {"file_id": ended["result"]["file_id"], "collection": f"{name}-copy"}
        )

    files = (await vectors.get(f"{API}/files", params={"limit": "100"})).json()["items"]
    assert (ended["attempt"], ended["result"]["records"]) == (2, len(items))
    assert [file["id"] for file in files if name in file["name"]] == [ended["result"]["file_id"]]
    assert copied["status"] == "succeeded", copied
    assert await count(vectors, f"{name}-copy") == len(items)


def programs(worker: Program) -> list[psutil.Process]:
    """Those that read and write dumps for it."""
    found = []
    for one in psutil.Process(worker.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # or is dead, and the worker has not asked how it ended yet
            if "services.tasks.dumps.inside" in one.cmdline():
                found.append(one)
    return found


async def test_a_cancelled_import_leaves_no_program_behind(
    installation: Installation, tasks: Tasks, vectors: httpx.AsyncClient
) -> None:
    name = f"cancelled-{secrets.token_hex(4)}"
    async with installation.worker_process(halts_halfway=True) as worker:
        task = await tasks.submit("vectors.import", {"file_id": await uploaded(vectors, lines(name, RECORDS))})
        await tasks.wait(task, until=is_under_way)
        begun = programs(worker)

        assert (await tasks.cancel(task)).is_success
        worker.send_signal(signal.SIGCONT)
        ended = await tasks.wait(task)

        await eventually(lambda: asyncio.sleep(0, not programs(worker)))
    assert (len(begun), ended["status"]) == (1, "cancelled")
    assert await count(vectors, name) < RECORDS


async def test_two_imports_into_one_new_collection_at_once(
    installation: Installation, tasks: Tasks, vectors: httpx.AsyncClient
) -> None:
    name = f"both-{secrets.token_hex(4)}"
    given = {"file_id": await uploaded(vectors, lines(name, 1000))}
    async with installation.worker():
        ended = await asyncio.gather(*(tasks.run("vectors.import", given) for _ in range(2)))

    assert [one["status"] for one in ended] == ["succeeded"] * 2, ended
    assert await count(vectors, name) == 1000


async def test_a_worker_goes_on_with_others_while_it_reads_a_large_file(
    installation: Installation, tasks: Tasks, vectors: httpx.AsyncClient
) -> None:
    """A turn of its loop is never long: what it would read by itself here takes seconds.

    Of the processor, by which a machine that stands still is not held against it.
    """
    file_id = await uploaded(vectors, lines("large", 60_000) + b"\n{")
    longest, over = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal longest
        while not over.is_set():
            began = time.thread_time()
            await asyncio.sleep(0.005)
            longest = max(longest, time.thread_time() - began)

    async with installation.worker():
        watching = asyncio.create_task(watch())
        task = await tasks.run("vectors.import", {"file_id": file_id})
        over.set()
        await watching

    assert task["error"]["code"] == "tasks.dump_record_invalid"
    assert longest < 1.0


async def test_both_are_in_the_audit_log_of_their_tenant(
    installation: Installation, tasks: Tasks, vectors: httpx.AsyncClient, auth: httpx.AsyncClient, user: User
) -> None:
    name = f"told-{secrets.token_hex(4)}"
    items = [{"id": "a", "vector": [1, 0]}]
    assert (await vectors.post(f"{API}/store", json={"collection": name, "items": items})).is_success
    async with installation.worker():
        exported = await tasks.run("vectors.export", {"collection": name})
        file_id = exported["result"]["file_id"]
        await tasks.run("vectors.import", {"file_id": file_id, "collection": f"{name}-2"})

        async def told() -> dict[str, Any] | None:
            found = {}
            for action, target in (("collection.exported", name), ("collection.imported", f"{name}-2")):
                asked = {"action": action, "target": target}
                answer = await auth.get("/api/v1/auth/tenant/audit", params=asked, headers=user.headers)
                found[action] = answer.raise_for_status().json()["items"]
            return found if all(found.values()) else None

        entries = await eventually(told)

    assert [len(one) for one in entries.values()] == [1, 1]
    for entry in (one[0] for one in entries.values()):
        assert (entry["actor"], entry["details"]) == (user.user_id, {"act": "service:tasks", "file_id": file_id})
