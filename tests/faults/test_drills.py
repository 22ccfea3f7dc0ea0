"""Tasks under what befalls an installation: a queue deleted, a worker that stands still, a broker that goes and comes.

With more repetitions with `FAULTS=1` (`make test-faults`), and with all that the broker has in `make soak`.
"""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from local.suite import Suite
from services.tasks.backlog import MOST_SENT
from services.tasks.domain import Priority
from services.tasks.queues import Queues
from shared.messages import Connection, OutgoingMessage, Publisher, open_connection
from shared.schemas import new_id
from tests.faults.drill import WORKER_PROCESS, Drill, Replica, drilled
from tests.faults.trades import API
from tests.fixtures.identity import RegisterUser, User
from tests.services.tasks.running import FINAL, eventually

FULL = bool(os.environ.get("FAULTS"))
ABSENCES = int(os.environ.get("ABSENCES") or 2)
AWAY_SECONDS = 30.0 if FULL else 1.0
MANY = 150 if FULL else 50
"""Tasks of which some have begun and others have not when their worker is told to end."""
OWNERS = 5
NO_TASKS = (b"", b"no JSON", b"\xff", b"null", b"[1]", b"{}", b'{"task_id": "nobody"}')
OF_EACH = 20
SECOND_WORKER = f"{WORKER_PROCESS} 2"
PATIENT = {"lease_seconds": 30}
"""Nobody misses a worker that goes on, however slow the machine."""
LAPSES_SECONDS = 15
"""Of a lease that is to lapse: the worker that takes the task over may itself be held up for a while, and keeps it."""
ENDED = -signal.SIGTERM
"""By the signal, which uvicorn raises again once everything is closed."""
pytestmark = pytest.mark.timeout(600)
Drilled = Callable[..., Any]


@pytest.fixture
def drill_of(suite: Suite, user: User, other_user: User, tmp_path: Path) -> Drilled:
    """`async with drill_of(workers=2, lease_seconds=3) as drill`: two users of two tenants."""
    return lambda **how: drilled(suite, [user, other_user], tmp_path, **how)


@asynccontextmanager
async def broker_of(drill: Drill) -> AsyncIterator[Connection]:
    async with open_connection(drill.suite.url("rabbitmq"), "drill") as connection:
        yield connection


async def status_of(drill: Drill, task_id: str) -> dict[str, Any]:
    read: dict[str, Any] = (await drill.callers[0].insist("GET", f"{API}/tasks/status/{task_id}", 200)).json()
    return read


async def ended(drill: Drill, task_id: str) -> dict[str, Any]:
    """The task once it is final."""

    async def final() -> dict[str, Any] | None:
        read = await status_of(drill, task_id)
        return read if read["status"] in FINAL else None

    read: dict[str, Any] = await eventually(final, seconds=60)
    return read


async def lose_nothing(drill: Drill) -> None:
    findings = await drill.read_back()
    assert (findings.lost, findings.twice) == ([], [])


async def are_inside(drill: Drill, broker: Connection, number: int) -> None:
    """Returns when so many messages are in the queue, or in the hands of the worker."""
    queue = Queues(drill.installation.names["queue_prefix"]).queue(Priority.NORMAL)
    prefetched = drill.installation.worker_settings().slots[Priority.NORMAL]

    async def all_are() -> bool:
        return await broker.count_ready(queue) >= number - prefetched

    await eventually(all_are, seconds=60)


async def test_a_queue_deleted_with_five_hundred_inside_loses_none(
    suite: Suite, register_user: RegisterUser, tmp_path: Path
) -> None:
    users = [await register_user() for _ in range(OWNERS)]
    drilling = drilled(suite, users, tmp_path, republish_seconds=1, **PATIENT)
    async with drilling as drill, broker_of(drill) as broker:
        queue = Queues(drill.installation.names["queue_prefix"]).queue(Priority.NORMAL)
        worker = drill.replicas[WORKER_PROCESS]
        worker.freeze()
        for caller in range(OWNERS):
            await drill.submit_batch(MOST_SENT, caller)
        await are_inside(drill, broker, OWNERS * MOST_SENT)
        async with (await broker.ready()).channel() as channel:
            await channel.queue_delete(queue)
        worker.thaw()

        await lose_nothing(drill)
        assert drill.repeated() == 0
        assert len(drill.acknowledged) == OWNERS * MOST_SENT


async def test_a_worker_that_stood_still_past_its_lease_is_not_believed(drill_of: Drilled) -> None:
    async with drill_of(workers=2, lease_seconds=LAPSES_SECONDS) as drill:
        await drill.submit_batch(1, waits=True)
        (task_id,) = drill.acknowledged
        await drill.until_run(1)
        stopped = holder_of(drill, drill.effects.runs()[0].pid)
        stopped.freeze()
        await drill.until_run(2)
        drill.effects.let_go()
        done = await ended(drill, task_id)
        stopped.thaw()

        await eventually(lambda: shows(stopped, 'outcome="lost"'), seconds=60)
        assert (done["status"], done["attempt"]) == ("succeeded", 2)
        assert await status_of(drill, task_id) == done
        assert [run.attempt for run in drill.effects.runs()] == [1, 2]
        assert drill.effects.tasks() == {task_id}


def holder_of(drill: Drill, pid: int) -> Replica:
    (replica,) = [one for one in drill.replicas.values() if one.program.pid == pid]
    return replica


async def shows(replica: Replica, what: str) -> bool:
    return what in await replica.metrics()


async def test_messages_that_are_no_tasks_hold_up_nobody(drill_of: Drilled) -> None:
    async with drill_of(**PATIENT) as drill, broker_of(drill) as broker:
        queues = Queues(drill.installation.names["queue_prefix"])
        publisher = Publisher(broker, queues.declare)
        unknown = orjson.dumps({"task_id": new_id()})
        for body in (*NO_TASKS, unknown):
            messages = (OutgoingMessage(new_id(), queues.exchange, Priority.NORMAL, body) for _ in range(OF_EACH))
            await asyncio.gather(*(publisher.publish(message) for message in messages))
        await drill.submit(20)

        async def all_are_dead() -> bool:
            return await broker.count_ready(queues.dead_queue) == len(NO_TASKS) * OF_EACH

        await lose_nothing(drill)
        await eventually(all_are_dead, seconds=60)
        assert drill.repeated() == 0


async def test_two_workers_share_one_queue(drill_of: Drilled) -> None:
    async with drill_of(workers=2, **PATIENT) as drill:
        workers = {drill.replicas[name].program.pid for name in (WORKER_PROCESS, SECOND_WORKER)}

        async def both_work() -> bool:
            return {run.pid for run in drill.effects.runs()} == workers

        await drill.submit(200, seconds=0.05, waits=True)  # one that hears of them first has no place for all
        await eventually(both_work)
        drill.effects.let_go()

        await lose_nothing(drill)
        assert await both_work()
        assert drill.repeated() == 0


async def test_a_worker_told_to_end_finishes_what_it_began(drill_of: Drilled) -> None:
    async with drill_of(shutdown_seconds=60, **PATIENT) as drill:
        await drill.submit_batch(MANY, seconds=0.5, waits=True)  # of which a user's are eight at once
        await drill.until_run(8)
        worker = drill.replicas[WORKER_PROCESS]
        ending = asyncio.create_task(worker.end())
        await eventually(lambda: is_closed(worker))
        drill.effects.let_go()
        code = await ending
        begun, had = {run.task_id for run in drill.effects.runs()}, drill.effects.tasks()
        await worker.start()

        await lose_nothing(drill)
        assert code == ENDED
        assert begun == had
        assert len(begun) < MANY
        assert drill.repeated() == 0


async def is_closed(replica: Replica) -> bool:
    """Whether it listens no more, as it ends."""
    try:
        await replica.metrics()
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        pass  # in that moment
    return False


async def test_a_worker_told_to_end_hands_back_what_takes_too_long(drill_of: Drilled) -> None:
    async with drill_of(shutdown_seconds=0.5, lease_seconds=600) as drill:  # not by a lease that lapses
        await drill.submit_batch(4, waits=True)
        await drill.until_run(4)
        worker = drill.replicas[WORKER_PROCESS]
        code = await worker.end()
        given_back = [await status_of(drill, task_id) for task_id in drill.acknowledged]
        drill.effects.let_go()
        await worker.start()

        await lose_nothing(drill)
        done = [await status_of(drill, task_id) for task_id in drill.acknowledged]
        assert code == ENDED
        assert {(task["status"], task["error"]["code"]) for task in given_back} == {("queued", "tasks.interrupted")}
        assert {(task["attempt"], task["error"]) for task in done} == {(2, None)}


@pytest.mark.timeout(1800)
async def test_a_broker_that_goes_and_comes_delays_tasks_and_loses_none(drill_of: Drilled, suite: Suite) -> None:
    async with drill_of(**PATIENT) as drill:
        for leave, _ in zip(itertools.cycle([suite.kill, suite.stop]), range(ABSENCES), strict=False):
            await drill.renew()
            await drill.submit(10)
            await asyncio.to_thread(leave, "rabbitmq")
            try:
                await submit_for(drill, AWAY_SECONDS)
            finally:
                await asyncio.to_thread(suite.start, "rabbitmq")

        await drill.renew()
        await lose_nothing(drill)
        assert drill.repeated() == 0


async def submit_for(drill: Drill, seconds: float) -> None:
    """Tasks, all of them accepted, until the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await drill.submit(2)
        await asyncio.sleep(0.1)
