"""What was committed while nobody was told of it: a claim is found again, an end is, and neither costs an attempt."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import text

from services.tasks.domain import TIMED_OUT, Priority, TaskStatus
from services.tasks.queues import Queues
from services.tasks.worker import claims
from services.tasks.worker.attempt import Attempt
from services.tasks.worker.claiming import claim_free
from services.tasks.worker.recovery import RecoveryRepository
from services.tasks.worker.repository import WorkRepository
from shared.errors import Unavailable
from shared.messages import OutgoingMessage, Publisher, open_connection
from shared.postgres import Database
from shared.schemas import new_id
from shared.telemetry import Metrics
from tests.fixtures.identity import RegisterUser, User
from tests.services.tasks.kinds import RELEASED, TAKEN_AWAY
from tests.services.tasks.running import Installation, Tasks, declared, eventually

LONG_LEASE = {"lease_seconds": 600}
"""In which nobody else brings a task back."""
_Statement = Callable[..., Awaitable[Any]]


def losing_the_first_answer(statement: _Statement) -> _Statement:
    """The statement, committed; of the first, whoever asked is told that the database went away."""
    is_lost = False

    async def lost(first: Any, *others: Any, **named: Any) -> Any:
        nonlocal is_lost
        answer = await statement(first, *others, **named)
        if not is_lost:
            is_lost = True
            await (first._session if isinstance(first, WorkRepository) else first).commit()
            raise Unavailable("postgres")
        return answer

    return lost


@pytest.mark.parametrize("how", ["together", "alone"])
async def test_a_claim_whose_answer_was_lost_is_found_again(
    new_installation: Callable[[], Installation], user: User, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    fresh = new_installation().limited({"echo": 1} if how == "alone" else {})
    if how == "together":
        monkeypatch.setattr(claims, "claim_free", losing_the_first_answer(claim_free))
    else:
        monkeypatch.setattr(WorkRepository, "claim", losing_the_first_answer(WorkRepository.claim))
    async with fresh.api() as client, fresh.worker(**LONG_LEASE):
        done = await Tasks(client, user).run("echo", max_attempts=1)

    assert (done["status"], done["attempt"], done["dead_letter"]) == ("succeeded", 1, False)


async def test_of_two_messages_that_found_one_claim_one_runs_it(
    new_installation: Callable[[], Installation], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were in the statement whose answer was lost."""
    fresh = new_installation()
    gathered, statement = list[str](), claim_free

    async def lost(session: Any, ids: list[str], *others: Any, **named: Any) -> Any:
        await statement(session, ids, *others, **named)
        gathered.extend(ids)
        raise Unavailable("postgres")

    monkeypatch.setattr(claims, "claim_free", lost)
    rabbitmq_url = fresh.settings().rabbitmq_url.get_secret_value()
    async with fresh.api() as client, open_connection(rabbitmq_url, "test") as connection:
        tasks = Tasks(client, user)
        name = fresh.names["queue_prefix"]
        task = await tasks.submit("test.hold", {"name": name, "waits": True})
        queues, body = Queues(name), orjson.dumps({"task_id": task["id"]})
        again = OutgoingMessage(new_id(), queues.exchange, Priority.NORMAL, body)
        await declared(connection, queues)
        await Publisher(connection, queues.declare).publish(again)
        async with fresh.worker(**LONG_LEASE) as app:
            await eventually(lambda: _has_refused_one(app.state.metrics))
            RELEASED[name].set()
            done = await tasks.wait(task)

    assert (done["status"], done["attempt"]) == ("succeeded", 1)
    assert gathered == [task["id"]] * 2


async def _has_refused_one(metrics: Metrics) -> bool:
    return "tasks_claims_refused_total 1.0" in metrics.render().decode()


async def test_what_a_task_left_is_taken_away_though_the_answer_to_its_end_was_lost(
    new_installation: Callable[[], Installation], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkRepository, "fail", losing_the_first_answer(WorkRepository.fail))
    fresh = new_installation()
    async with fresh.api() as client, fresh.worker():
        failed = await Tasks(client, user).run("test.leave", {"how": "never"})
        await eventually(lambda: _is_taken_away(failed["id"]))

    assert failed["status"] == "failed"
    assert TAKEN_AWAY.count(failed["id"]) == 1


async def _is_taken_away(task_id: str) -> bool:
    return task_id in TAKEN_AWAY


@pytest.mark.parametrize("end", ["give_up", "retry"])
async def test_who_asked_it_to_stop_has_no_dead_letter(
    api: httpx.AsyncClient, register_user: RegisterUser, database: Database, end: str
) -> None:
    tasks = Tasks(api, await register_user())  # who has nothing else waiting, so that it is sent at once
    task = await tasks.submit("echo")
    async with database.transaction() as session:
        claim = await WorkRepository(session).claim(task["id"], "worker", lease_seconds=60)
    assert claim is not None
    await tasks.cancel(task)
    async with database.transaction() as session:
        work, attempt = WorkRepository(session), Attempt(claim)
        ended = await (work.give_up(attempt, TIMED_OUT) if end == "give_up" else work.retry(attempt, TIMED_OUT, 0))
    read = await tasks.get(task)

    assert ended is TaskStatus.CANCELLED
    assert (read["status"], read["dead_letter"], read["error"]["code"]) == ("cancelled", False, "tasks.cancelled")


async def test_after_an_absence_of_the_database_what_runs_is_not_taken_from_whoever_is_at_work(
    new_installation: Callable[[], Installation], user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat and the reconciler come back in any order: here the reconciler is first, and then it waits."""
    fresh = new_installation()
    is_back, has_looked, has_renewed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    renew, look = WorkRepository.renew, RecoveryRepository.has_lapsed

    async def renewing(work: WorkRepository, *keys: Any, **named: Any) -> Any:
        if not has_looked.is_set():
            raise Unavailable("postgres")
        renewed = await renew(work, *keys, **named)
        has_renewed.set()
        return renewed

    async def looking(tasks: RecoveryRepository) -> bool:
        if not is_back.is_set():
            raise Unavailable("postgres")
        if has_looked.is_set():
            await has_renewed.wait()
        has_lapsed = await look(tasks)
        if has_lapsed:
            has_looked.set()
        return has_lapsed

    monkeypatch.setattr(WorkRepository, "renew", renewing)
    monkeypatch.setattr(RecoveryRepository, "has_lapsed", looking)
    async with (
        fresh.api() as client,
        fresh.database() as database,
        fresh.worker(lease_seconds=4, heartbeat_seconds=1.2),
    ):
        tasks = Tasks(client, user)
        task = await tasks.submit("test.hold", {"name": fresh.names["queue_prefix"], "waits": True}, max_attempts=1)
        await tasks.wait(task, until=lambda read: read["status"] == "running")
        await eventually(lambda: _has_lapsed(database, task["id"]))
        is_back.set()
        await has_looked.wait()
        await eventually(lambda: _is_held(database, task["id"]))
        RELEASED[fresh.names["queue_prefix"]].set()
        done = await tasks.wait(task)

    assert (done["status"], done["attempt"]) == ("succeeded", 1)


async def _has_lapsed(database: Database, task_id: str) -> bool:
    return await _is_claim_over(database, task_id) is True


async def _is_held(database: Database, task_id: str) -> bool:
    return await _is_claim_over(database, task_id) is False


async def _is_claim_over(database: Database, task_id: str) -> bool | None:
    """None for a task without one."""
    async with database.session() as session:
        statement = text("SELECT lease_expires_at < now() FROM task WHERE id = :id")
        is_over: bool | None = await session.scalar(statement, {"id": task_id})
        return is_over
