"""R16: the disk of each store fills while clients write. Nothing acknowledged is lost, refusals are clean, all is back.

One store in `make test`, all of them with `FAULTS=1` (`make test-faults`). Which of them come back by themselves, and
which when `make up` restarts them, stands in docs/operations.md.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from local.outcomes import Result
from local.suite import Suite
from shared.schemas import new_id
from tests.faults.conftest import FREELY, AsUser
from tests.faults.writing import Course, Write, writing
from tests.fixtures.disks import Disk, small_disk
from tests.fixtures.identity import User
from tests.fixtures.working_time import working_time
from tests.services.chat.opening import chat_beside
from tests.services.chat.servers import ModelServer, Neighbours
from tests.services.tasks.running import Installation, Tasks

Read = Callable[[httpx.Response], Awaitable[httpx.Response]]
FULL_SECONDS = 4.0
ANSWER_SECONDS = 10.0
BACK_SECONDS = 15.0
NOTICED_SECONDS = 30.0  # the broker looks at its disk every ten
TEXT = "All that is written has to lie somewhere. " * 200
AGENT = {"name": "support", "version": 1, "instructions": "Answer.", "model": None, "knowledge": []}
pytestmark = pytest.mark.timeout(420)  # a store that is restarted on a busy machine takes its time
every_store = pytest.mark.skipif(not os.environ.get("FAULTS"), reason="with FAULTS=1, as it takes a minute")


@contextmanager
def on_a_small_disk(suite: Suite, store: str, megabytes: int) -> Iterator[Disk]:
    """The store, started with its data there, and stopped before the disk goes."""
    with small_disk(suite.site.layout.home / store, megabytes) as disk:
        try:
            suite.up([store])
            yield disk
        finally:
            suite.down()


async def through_a_full_disk(disk: Disk, write: Write, read: Read, *, reads: bool) -> tuple[Course, bool]:
    """How the writes went, and whether they went on by themselves. `reads`: what was kept is read all the while."""
    async with writing(write) as course:
        await course.until_kept(20)
        async with asyncio.timeout(60):
            while len(course.refused) < 4:
                disk.fill()
                await asyncio.sleep(0.05)
        await read_while_full(disk, course.kept[0], read, reads=reads)
        disk.free()
        by_itself = await course.kept_again(BACK_SECONDS)
    return course, by_itself


async def read_while_full(disk: Disk, kept: httpx.Response, read: Read, *, reads: bool) -> None:
    until = time.monotonic() + FULL_SECONDS
    while time.monotonic() < until:
        disk.fill()
        async with working_time() as took:
            answer = await read(kept)
        assert took.seconds < ANSWER_SECONDS
        assert answer.status_code in ((200,) if reads else (200, 503, 504, 507)), answer.text
        await asyncio.sleep(0.1)


async def assert_clean_and_whole(course: Course, read: Read) -> None:
    assert course.unclean == []
    assert course.slowest_seconds < ANSWER_SECONDS
    lost = [answer.text for kept in course.kept if (answer := await read_at_last(kept, read)).status_code != 200]
    assert lost == []


async def read_at_last(kept: httpx.Response, read: Read) -> httpx.Response:
    """What a reader finds who asks again while the store is not there."""
    async with working_time() as waited:
        while (answer := await read(kept)).status_code in (503, 504, 507) and waited.seconds < BACK_SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return answer


def restart(suite: Suite, store: str) -> None:
    """`make up` for a store that did not come back in time, which says so; on a busy machine it may be back by now."""
    (outcome,) = [one for one in suite.up([store]) if one.component == store]
    assert (outcome.result, outcome.reason[:12]) in {(Result.RESTARTED, "refused work"), (Result.RUNNING, "")}


async def until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(BACK_SECONDS):
        while (await client.get("/health/ready")).status_code != 200:  # noqa: ASYNC110 - it is elsewhere
            await asyncio.sleep(0.05)


@every_store
async def test_postgres(own_suite: Suite, as_user: AsUser) -> None:
    with on_a_small_disk(own_suite, "postgres", 300) as disk:
        async with as_user("tasks", database_url=own_suite.url("postgres")) as client:

            async def read(kept: httpx.Response) -> httpx.Response:
                return await client.get(f"/api/v1/tasks/status/{kept.json()['id']}")

            course, by_itself = await through_a_full_disk(disk, submitting(client), read, reads=False)

            assert by_itself
            await assert_clean_and_whole(course, read)


def submitting(client: httpx.AsyncClient, text: str = TEXT) -> Write:
    return lambda: client.post("/api/v1/tasks/submit", json={"kind": "echo", "input": {"text": text}})


async def test_redis(own_suite: Suite, suite: Suite, auth: httpx.AsyncClient, user: User) -> None:
    """It ends rather than answer for what it cannot store (decision 52), and is started again until it can."""
    agent_id, neighbours = new_id(), Neighbours()
    neighbours.agents[agent_id] = AGENT | {"id": agent_id}
    open_chat = chat_beside(suite, auth, ModelServer(), neighbours)
    with on_a_small_disk(own_suite, "redis", 8) as disk:
        async with open_chat(redis_url=own_suite.url("redis"), **FREELY) as client:
            client.headers.update(user.headers)

            async def write() -> httpx.Response:
                return await client.post("/api/v1/chat/message", json={"agent_id": agent_id, "content": TEXT})

            async def read(kept: httpx.Response) -> httpx.Response:
                return await client.get(f"/api/v1/chat/conversations/{kept.json()['conversation_id']}")

            course, by_itself = await through_a_full_disk(disk, write, read, reads=False)

            assert by_itself
            await assert_clean_and_whole(course, read)


@every_store
async def test_neo4j(own_suite: Suite, as_user: AsUser) -> None:
    """Its database panics, and asks to be restarted."""
    with on_a_small_disk(own_suite, "neo4j", 300) as disk:
        settings = {"neo4j_url": own_suite.url("neo4j"), "neo4j_password": own_suite.secrets.neo4j_password}
        async with as_user("agents", **settings) as client:
            await until_ready(client)

            async def write() -> httpx.Response:
                body = {"name": f"Agent {new_id()}", "instructions": TEXT}
                return await client.post("/api/v1/agents/create", json=body)

            async def read(kept: httpx.Response) -> httpx.Response:
                return await client.get(f"/api/v1/agents/{kept.json()['id']}")

            course, by_itself = await through_a_full_disk(disk, write, read, reads=False)
            if not by_itself:
                restart(own_suite, "neo4j")
            await until_ready(client)

            await assert_clean_and_whole(course, read)


async def stored_through(client: httpx.AsyncClient, disk: Disk, engine: str) -> tuple[Course, bool, Read]:
    name = f"c{new_id()}"
    body = {"name": name, "engine": engine, "dimension": 64}
    (await client.post("/api/v1/vectors/collections", json=body)).raise_for_status()

    async def write() -> httpx.Response:
        items = [{"id": new_id(), "vector": [0.5] * 64, "text": TEXT}]
        return await client.post("/api/v1/vectors/store", json={"collection": name, "items": items})

    async def read(kept: httpx.Response) -> httpx.Response:
        return await client.get(f"/api/v1/vectors/collections/{name}/records/{kept.json()['ids'][0]}")

    return *await through_a_full_disk(disk, write, read, reads=engine == "faiss"), read


@every_store
async def test_chromadb(own_suite: Suite, as_user: AsUser, tmp_path: Path) -> None:
    """It says so at first, and then keeps reads and writes waiting for good: these are told the same, and soon."""
    with on_a_small_disk(own_suite, "chromadb", 24) as disk:
        place = {"chromadb_url": own_suite.url("chromadb"), "chromadb_tenant": own_suite.secrets.chromadb_tenant}
        async with as_user("vectors", data_dir=tmp_path / "vectors", **place) as client:
            course, by_itself, read = await stored_through(client, disk, "chroma")
            assert course.statuses == {507}
            if not by_itself:
                restart(own_suite, "chromadb")

            await assert_clean_and_whole(course, read)


@every_store
@pytest.mark.parametrize("engine", ["faiss", "qdrant"])
async def test_the_folder_of_vectors(suite: Suite, as_user: AsUser, tmp_path: Path, engine: str) -> None:
    suite.up(["chromadb"])
    with small_disk(tmp_path / "vectors", 96) as disk:
        async with as_user("vectors", data_dir=tmp_path / "vectors") as client:
            course, by_itself, read = await stored_through(client, disk, engine)

            assert by_itself
            assert engine == "qdrant" or course.statuses == {507}  # Edge's process may end for it
            await assert_clean_and_whole(course, read)


@every_store
async def test_rabbitmq(own_suite: Suite, suite: Suite, user: User) -> None:
    """Tasks are accepted all the while, and done once the broker can carry them."""
    suite.up(["postgres", "redis-cache"])
    installation, broker = Installation(suite), {"rabbitmq_url": own_suite.url("rabbitmq")}
    with on_a_small_disk(own_suite, "rabbitmq", 300) as disk:
        async with installation.api(**FREELY, **broker) as client, installation.worker(**broker):
            client.headers.update(user.headers)
            tasks = Tasks(client, user)
            async with writing(submitting(client, "short"), pause_seconds=0.3) as course:
                await course.until_kept(20)
                for _ in range(60):  # until it has looked at its disk, and a while longer
                    disk.fill()
                    await asyncio.sleep(0.25)
                disk.free()
            by_itself = await are_done(tasks, course.kept[-1:], NOTICED_SECONDS)
            if not by_itself:
                restart(own_suite, "rabbitmq")

            assert course.refused == []
            assert course.slowest_seconds < ANSWER_SECONDS
            assert await are_done(tasks, course.kept, 120)


async def are_done(tasks: Tasks, kept: list[httpx.Response], seconds: float) -> bool:
    """Whether all of them succeed within that time."""
    until = time.monotonic() + seconds
    for submitted in kept:
        while (read := await tasks.get(submitted.json()))["status"] != "succeeded":
            if time.monotonic() > until:
                return False
            assert read["status"] in ("queued", "running"), read
            await asyncio.sleep(0.05)
    return True
