"""Of tasks that would write the same thing one is first, on whatever worker, and none waits for who is gone."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any

import httpx
import pytest

from local.suite import Suite
from services.tasks.domain import Claim
from services.tasks.worker import holds
from services.tasks.worker.holds import Holds
from shared.errors import Unavailable
from shared.postgres import Database
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.inside import client_of
from tests.services.tasks.kinds import RELEASED
from tests.services.tasks.running import Installation, Tasks

API = "/api/v1/vectors"


def is_holding(task: dict[str, Any]) -> bool:
    return bool(task["progress"]["done"] == 1)


def was_refused(task: dict[str, Any]) -> Any:
    """Its last attempt was; it waits for the next. While that is under way it still has the error of the one before."""
    return task["status"] == "queued" and task["error"] and task["error"]["code"] == "tasks.document_in_use"


@pytest.fixture
def name() -> str:
    return secrets.token_hex(4)


async def test_a_second_waits_for_the_first_on_another_worker(
    installation: Installation, tasks: Tasks, name: str
) -> None:
    async with installation.worker(), installation.worker():
        first = await tasks.submit("test.hold", {"name": name, "waits": True})
        await tasks.wait(first, is_holding)
        second = await tasks.submit("test.hold", {"name": name})
        waiting = await tasks.wait(second, was_refused)
        other = await tasks.run("test.hold", {"name": f"{name}-other"})
        RELEASED[name].set()
        ended = [await tasks.wait(task) for task in (first, second)]

    assert (waiting["status"], other["status"]) == ("queued", "succeeded")
    assert [one["status"] for one in ended] == ["succeeded", "succeeded"], ended


async def test_a_neighbour_holds_what_it_likes(
    installation: Installation, api: httpx.AsyncClient, tasks: Tasks, register_user: RegisterUser, name: str
) -> None:
    neighbour = Tasks(api, await register_user())
    async with installation.worker():
        first = await tasks.submit("test.hold", {"name": name, "waits": True})
        await tasks.wait(first, is_holding)

        theirs = await neighbour.run("test.hold", {"name": name})

        RELEASED[name].set()
        mine = await tasks.wait(first)
    assert (theirs["status"], theirs["attempt"], mine["status"]) == ("succeeded", 1, "succeeded")


async def test_who_failed_for_good_holds_nothing(installation: Installation, tasks: Tasks, name: str) -> None:
    async with installation.worker():
        failed = await tasks.run("test.hold", {"name": name, "fails": "never"})
        followed = await tasks.run("test.hold", {"name": name})

    assert (failed["status"], followed["status"], followed["attempt"]) == ("failed", "succeeded", 1)


async def test_what_who_broke_off_had_asked_for_is_waited_for(
    installation: Installation, tasks: Tasks, name: str
) -> None:
    async with installation.worker():
        failed = await tasks.run("test.hold", {"name": name, "fails": "halfway"}, max_attempts=1)
        second = await tasks.submit("test.hold", {"name": name})
        waiting = await tasks.wait(second, was_refused)
        await tasks.cancel(second)

    assert (failed["status"], waiting["status"]) == ("failed", "queued")


async def test_a_killed_worker_holds_nothing_for_long(
    installation: Installation, tasks: Tasks, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "_LATE_SECONDS", 0)
    first = await tasks.submit("test.hold", {"name": name, "waits": True}, max_attempts=1)
    async with installation.worker_process() as process:
        await tasks.wait(first, is_holding)
        process.send_signal(signal.SIGKILL)

    async with installation.worker():
        second = await tasks.run("test.hold", {"name": name})

    assert (await tasks.get(first))["error"]["code"] == "tasks.worker_lost"
    assert second["status"] == "succeeded"


@pytest.fixture(scope="module")
async def vectors(suite: Suite, user: User) -> AsyncIterator[httpx.AsyncClient]:
    suite.up(["vectors"])
    async with client_of(suite, "vectors") as client:
        client.headers.update(user.headers)
        yield client


def ingest(collection: str, word: str, chunks: int) -> dict[str, Any]:
    text = "\n\n".join(f"# {n}\n\n{word} number {n} of all." for n in range(chunks))
    document = {"id": "same", "text": text, "type": "markdown"}
    return {"collection": collection, "engine": "faiss", "documents": [document], "chunk_size": 100}


@pytest.mark.timeout(300)
async def test_of_two_ingestions_of_a_document_at_once_one_is_there_whole(
    installation: Installation, tasks: Tasks, vectors: httpx.AsyncClient, name: str
) -> None:
    """By the collection's name and by an alias, with as many chunks as not to end up alike by chance."""
    made = await vectors.post(f"{API}/collections", json={"name": f"c-{name}", "engine": "faiss"})
    assert made.is_success, made.text
    assert (await vectors.put(f"{API}/aliases/a-{name}", json={"collection": f"c-{name}"})).is_success
    given = [ingest(f"c-{name}", "apple", 90), ingest(f"a-{name}", "pear", 80)]
    del given[1]["engine"]
    async with installation.worker(), installation.worker():
        submitted = await asyncio.gather(*(tasks.submit("vectors.ingest", one) for one in given))
        ended = [await tasks.wait(task, seconds=200) for task in submitted]

    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await vectors.get(f"{API}/collections/c-{name}/records", params={"limit": "100", **cursor})
        page = answer.raise_for_status().json()
        found += [record["text"] for record in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [one["status"] for one in ended] == ["succeeded"] * 2, ended
    fruits = {word for word in ("apple", "pear") if any(word in text for text in found)}
    assert (fruits, len(found)) in [({"apple"}, 90), ({"pear"}, 80)]


async def test_an_attempt_that_is_over_neither_takes_nor_gives_back(
    installation: Installation, tasks: Tasks, database: Database, name: str
) -> None:
    """As one whose worker stood still for longer than its lease: another goes on with the task."""
    late = Holds(database)
    async with installation.worker():
        first = await tasks.submit("test.hold", {"name": name, "waits": True})
        running = await tasks.wait(first, is_holding)
        over = claim_of(running, tasks.user, attempt=running["attempt"] - 1)
        with pytest.raises(Unavailable):
            async with late.holding(over, [f"{name}-other"]):
                pass
        await late._give_back(over)
        second = await tasks.submit("test.hold", {"name": name})
        waiting = await tasks.wait(second, was_refused)
        RELEASED[name].set()
        ended = [await tasks.wait(task) for task in (first, second)]

    assert waiting["status"] == "queued"
    assert [one["status"] for one in ended] == ["succeeded", "succeeded"], ended


def claim_of(task: dict[str, Any], user: User, *, attempt: int) -> Claim:
    """Of that attempt of the task."""
    told: dict[str, Any] = {field.name: None for field in fields(Claim)}
    return Claim(**told | {"id": task["id"], "attempt": attempt, "tenant_id": user.tenant_id})
