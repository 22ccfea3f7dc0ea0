"""What is lost on the way is found again: workers, messages, queues, the broker, the database."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import httpx
import orjson
import pytest
from sqlalchemy import TextClause, func, select, text

from local.suite import Suite
from services.tasks.domain import INTERRUPTED, Priority
from services.tasks.models import OutboxRow, Task, TaskAttempt
from services.tasks.queues import MAX_DELIVERIES, Queues
from services.tasks.worker.attempt import Attempt, ProgressReport
from services.tasks.worker.leases import Leases
from services.tasks.worker.repository import WorkRepository
from shared.messages import Connection, OutgoingMessage, Publisher, open_connection
from shared.postgres import Database, Outbox, OutboxRelay
from shared.schemas import new_id
from shared.telemetry import Metrics
from tests.fixtures.identity import RegisterUser, User
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.readiness import until_check
from tests.fixtures.working_time import working_time
from tests.services.tasks.kinds import RELEASED
from tests.services.tasks.running import Installation, Tasks, count_ready, declared, eventually


async def count_attempts(database: Database, task_id: str) -> int:
    async with database.session() as session:
        statement = select(func.count()).select_from(TaskAttempt).where(TaskAttempt.task_id == task_id)
        return (await session.scalar(statement)) or 0


async def test_a_killed_workers_task_is_finished_by_another(installation: Installation, tasks: Tasks) -> None:
    task = await tasks.submit("test.sleep", {"attempts": 1})
    async with installation.worker_process() as process:
        await tasks.wait(task, until=lambda read: read["status"] == "running")
        process.send_signal(signal.SIGKILL)

    async with installation.worker():
        done = await tasks.wait(task)

    assert (done["status"], done["result"], done["error"]) == ("succeeded", {"attempt": 2}, None)


async def test_a_task_that_kills_its_workers_becomes_a_dead_letter(installation: Installation, tasks: Tasks) -> None:
    task = await tasks.submit("test.sleep", max_attempts=1)
    async with installation.worker_process() as process:
        await tasks.wait(task, until=lambda read: read["status"] == "running")
        process.send_signal(signal.SIGKILL)

    async with installation.worker():
        lost = await tasks.wait(task)

    assert (lost["status"], lost["dead_letter"], lost["error"]["code"]) == ("failed", True, "tasks.worker_lost")


@pytest.mark.timeout(400)
async def test_a_worker_that_was_frozen_past_its_lease_changes_nothing_and_works_on(
    new_installation: Callable[[], Installation], user: User
) -> None:
    """With one slot it is sent no message meanwhile; of several some wait there until the broker misses a heartbeat."""
    fresh = new_installation()
    async with fresh.api() as client, fresh.worker_process(normal_slots=1, lease_seconds=2) as process:
        tasks = Tasks(client, user)
        task = await tasks.submit("test.sleep", {"seconds": 30, "attempts": 1})
        await tasks.wait(task, until=lambda read: read["status"] == "running")
        process.send_signal(signal.SIGSTOP)
        async with fresh.worker():
            # One that is frozen in the midst of a transaction has its rows locked for half a minute.
            done = await tasks.wait(task, seconds=2 * PATIENCE_SECONDS)
        process.send_signal(signal.SIGCONT)
        after = await tasks.run("test.sleep", {"seconds": 0.1})  # the one that woke is all there is
        answer = await client.get(f"/api/v1/tasks/{task['id']}/attempts", headers=user.headers)

        assert (done["status"], done["result"]) == ("succeeded", {"attempt": 2})
        assert after["status"] == "succeeded"
        assert await tasks.get(task) == done
        assert [attempt["outcome"] for attempt in answer.json()["items"]] == ["lost", "succeeded"]


@pytest.fixture
async def alone(api: httpx.AsyncClient, register_user: RegisterUser) -> Tasks:
    """Of somebody who has nothing else waiting: what they submit is sent at once, and can be claimed."""
    return Tasks(api, await register_user())


async def test_a_late_worker_cannot_write(alone: Tasks, database: Database) -> None:
    task = await alone.submit("test.sleep")
    async with database.transaction() as session:
        first = await WorkRepository(session).claim(task["id"], "first", lease_seconds=0)
    assert first is not None
    late = Attempt(first, progress=ProgressReport(9, 9, "late"))
    async with database.transaction() as session:
        await session.execute(
            text("UPDATE task SET status = 'queued', enqueued_at = now() WHERE id = :id"), {"id": task["id"]}
        )
    async with database.transaction() as session:
        second = await WorkRepository(session).claim(task["id"], "second", lease_seconds=60)
    assert second is not None

    async with database.transaction() as session:
        work = WorkRepository(session)
        answers = [
            await work.succeed(late, '"late"'),
            await work.fail(late, INTERRUPTED),
            await work.give_up(late, INTERRUPTED),
            await work.retry(late, INTERRUPTED, 0),
            await work.cancel(late),
        ]
        await work.write_progress(first.key, ProgressReport(9, 9, "late"))
        held = await work.renew([first.key, second.key], 60)

    read = await alone.get(task)
    await alone.cancel(task)  # or it comes back, a minute later, to the worker of another test
    assert answers == [None] * 5
    assert held == {second.key: False}
    assert (read["status"], read["attempt"], read["progress"]["done"]) == ("running", 2, 0)


async def test_a_locked_task_holds_up_no_other_lease(
    installation: Installation, alone: Tasks, database: Database
) -> None:
    made = [await alone.submit("test.sleep") for _ in range(2)]
    leases = Leases(database, installation.worker_settings(lease_seconds=1, heartbeat_seconds=0.333))  # due at once
    async with database.transaction() as session:
        work = WorkRepository(session)
        locked, free = [await work.claim(task["id"], "one", lease_seconds=1) for task in made]
    assert locked is not None
    assert free is not None
    lease = select(Task.lease_expires_at).where(Task.id == free.id)

    async def is_renewed() -> bool:
        async with database.session() as session:
            return bool(await session.scalar(lease) != before)

    with leases.hold(locked) as stuck, leases.hold(free):
        async with database.transaction() as session:
            before = await session.scalar(lease)
            await session.execute(text("SELECT FROM task WHERE id = :id FOR UPDATE"), {"id": locked.id})
            stuck.report(ProgressReport(1, 2, "unwritten"))
            beat = asyncio.create_task(leases.beat())
            await eventually(is_renewed)
            assert not beat.done()
        await beat
        assert not stuck.stopped.done()
    for task in made:
        await alone.cancel(task)


async def test_a_worker_that_lost_its_task_stops_working_on_it(installation: Installation, tasks: Tasks) -> None:
    async with installation.worker() as app, installation.database() as database:
        task = await tasks.submit("test.sleep", max_attempts=5)
        await tasks.wait(task, until=lambda read: read["status"] == "running")

        async with database.transaction() as session:
            await session.execute(text("UPDATE task SET attempt = 4 WHERE id = :id"), {"id": task["id"]})

        await eventually(lambda: _shows(app.state.metrics, 'outcome="lost"'))
        await tasks.cancel(task)


async def _shows(metrics: Metrics, what: str) -> bool:
    return what in metrics.render().decode()


async def test_a_message_published_twice_has_its_effect_once(
    new_installation: Callable[[], Installation], user: User
) -> None:
    """What a relay leaves that dies between publishing and deleting."""
    fresh = new_installation()  # whose worker is told of nothing else
    async with fresh.api() as client, fresh.database() as database:
        tasks = Tasks(client, user)
        task = await tasks.submit("echo")
        async with published(fresh) as publisher:
            for _ in range(3):
                await publisher.publish(_message(fresh, task["id"]))

        async with fresh.worker() as app:
            done = await tasks.wait(task)
            await eventually(lambda: _shows(app.state.metrics, "tasks_claims_refused_total 3.0"))

        assert (done["status"], await count_attempts(database, task["id"])) == ("succeeded", 1)


async def test_a_relay_that_dies_after_publishing_sends_again(
    new_installation: Callable[[], Installation], user: User
) -> None:
    fresh = new_installation()
    async with fresh.database() as database, fresh.api(rabbitmq_url="amqp://127.0.0.1:1/") as client:
        task = await Tasks(client, user).submit("echo")
        async with published(fresh) as publisher:
            relay = OutboxRelay(database, Outbox(OutboxRow), _Dying(publisher))
            with pytest.raises(_Died):
                await relay.publish_batch()
        async with fresh.worker():  # its own relay finds the row
            done = await Tasks(client, user).wait(task)

        assert (done["status"], await count_attempts(database, task["id"])) == ("succeeded", 1)


class _Died(BaseException):
    pass


class _Dying(Publisher):
    """Publishes, and is gone before it can say so."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def publish(self, message: OutgoingMessage) -> None:
        await self._publisher.publish(message)
        raise _Died


def published(installation: Installation) -> "_Published":
    return _Published(installation)


class _Published:
    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    async def __aenter__(self) -> Publisher:
        settings = self._installation.settings()
        self._opened = open_connection(settings.rabbitmq_url.get_secret_value(), "test")
        self.connection: Connection = await self._opened.__aenter__()
        queues = Queues(settings.queue_prefix)
        await declared(self.connection, queues)
        return Publisher(self.connection, queues.declare)

    async def __aexit__(self, *error: object) -> None:
        await self._opened.__aexit__(None, None, None)


def _message(installation: Installation, task_id: str) -> OutgoingMessage:
    queues = Queues(installation.names["queue_prefix"])
    return OutgoingMessage(new_id(), queues.exchange, Priority.NORMAL, orjson.dumps({"task_id": task_id}))


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"task_id": "nobody"}', b"[1]"])
async def test_poison_goes_to_the_dead_letters(
    new_installation: Callable[[], Installation], body: bytes, user: User
) -> None:
    fresh = new_installation()
    queues = Queues(fresh.names["queue_prefix"])
    holder = published(fresh)
    async with fresh.worker(), holder as publisher:
        await publisher.publish(OutgoingMessage(new_id(), queues.exchange, Priority.NORMAL, body))

        dead = await eventually(lambda: count_ready(holder.connection, queues.dead_queue))

    assert dead == 1


async def test_a_deleted_queue_loses_no_task(new_installation: Callable[[], Installation], user: User) -> None:
    fresh = new_installation()
    async with fresh.api() as client:
        tasks, holder = Tasks(client, user), published(fresh)
        made = await asyncio.gather(*(tasks.submit("echo", {"n": n}) for n in range(100)))
        queue = Queues(fresh.names["queue_prefix"]).queue(Priority.NORMAL)
        async with holder:
            await eventually(lambda: _counts(holder.connection, queue, 100))
            async with (await holder.connection.ready()).channel() as channel:
                await channel.queue_delete(queue)

        async with fresh.worker(republish_seconds=1):
            done = [await tasks.wait(task) for task in made]

    assert {task["status"] for task in done} == {"succeeded"}
    assert {task["attempt"] for task in done} == {1}


async def _counts(connection: Connection, queue: str, expected: int) -> bool:
    return await count_ready(connection, queue) == expected


async def test_a_backlog_is_not_published_twice(new_installation: Callable[[], Installation], user: User) -> None:
    fresh = new_installation()
    async with fresh.api() as client:
        tasks, holder = Tasks(client, user), published(fresh)
        slow = [await tasks.submit("test.sleep") for _ in range(3)]
        queue = Queues(fresh.names["queue_prefix"]).queue(Priority.NORMAL)
        async with fresh.worker(normal_slots=1, republish_seconds=0.5), holder:
            await eventually(lambda: _counts(holder.connection, queue, 2))
            ran_until = time.monotonic() + 2
            while time.monotonic() < ran_until:
                assert await count_ready(holder.connection, queue) == 2
                await asyncio.sleep(0.1)
            for task in slow:
                await tasks.cancel(task)


async def test_submits_are_accepted_while_the_broker_is_down(installation: Installation, tasks: Tasks) -> None:
    suite: Suite = installation.suite
    async with installation.worker():
        await asyncio.to_thread(suite.stop, "rabbitmq")
        try:
            async with working_time() as took:
                task = await tasks.submit("echo")
            readiness = await until_check(tasks.client, "rabbitmq", "warn", code=200)
        finally:
            await asyncio.to_thread(suite.start, "rabbitmq")
        done = await tasks.wait(task)

    assert took.seconds < 5
    assert readiness["code"] == 200
    assert done["status"] == "succeeded"


async def test_a_task_survives_the_loss_of_the_broker_while_it_runs(installation: Installation, tasks: Tasks) -> None:
    async with installation.worker():
        name = new_id()
        task = await tasks.submit("test.hold", {"name": name, "waits": True})
        await tasks.wait(task, until=lambda read: read["progress"]["done"])

        await asyncio.to_thread(installation.suite.kill, "rabbitmq")
        RELEASED[name].set()
        done = await tasks.wait(task)
        await asyncio.to_thread(installation.suite.start, "rabbitmq")
        after = await tasks.run("echo")

    assert (done["status"], done["attempt"], after["status"]) == ("succeeded", 1, "succeeded")


async def test_without_the_database_the_answer_names_it(installation: Installation, tasks: Tasks) -> None:
    suite = installation.suite
    await asyncio.to_thread(suite.stop, "postgres")
    try:
        body, headers = {"kind": "echo"}, tasks.user.headers
        async with working_time() as took:
            submitted = await tasks.client.post("/api/v1/tasks/submit", json=body, headers=headers)
            listed = await tasks.client.get("/api/v1/tasks/list", headers=headers)
            readiness = await tasks.client.get("/health/ready")
    finally:
        await asyncio.to_thread(suite.start, "postgres")

    assert [submitted.status_code, listed.status_code, readiness.status_code] == [503] * 3
    assert "postgres" in submitted.json()["detail"]
    assert submitted.headers["Retry-After"]
    assert took.seconds < 10


async def test_a_worker_works_on_when_the_database_comes_back(installation: Installation, tasks: Tasks) -> None:
    async with installation.worker():
        name = new_id()
        task = await tasks.submit("test.hold", {"name": name, "waits": True})
        await tasks.wait(task, until=lambda read: read["progress"]["done"])

        await asyncio.to_thread(installation.suite.kill, "postgres")
        await asyncio.to_thread(installation.suite.start, "postgres")
        RELEASED[name].set()
        done, after = await tasks.wait(task), await tasks.run("echo")

    assert (done["status"], after["status"]) == ("succeeded", "succeeded")


async def test_a_database_that_cuts_its_connections_costs_no_message(
    new_installation: Callable[[], Installation], user: User
) -> None:
    """SQLSTATE class 57: what a server says that an operator stops."""
    fresh = new_installation()
    queues, holder = Queues(fresh.names["queue_prefix"]), published(fresh)
    theirs = "FROM pg_stat_activity WHERE datname = :name AND pid <> pg_backend_pid()"
    cut, left = text(f"SELECT pid, pg_terminate_backend(pid) {theirs}"), text(f"SELECT pid {theirs}")
    told: set[int] = set()

    async def pids(which: TextClause) -> set[int]:
        async with database.engine.connect() as connection:
            return set(await connection.scalars(which, {"name": fresh.names["database_name"]}))

    async def have_ended() -> bool:
        """Those that were told to: one that does it later would take along whoever reads by it then."""
        return not told & await pids(left)

    async with fresh.api() as client, fresh.worker(lease_seconds=1), fresh.database() as database, holder:
        tasks = Tasks(client, user)
        made = [await tasks.submit("echo", {"n": n}) for n in range(60)]
        for _ in range(10):
            told |= await pids(cut)
            await asyncio.sleep(0.05)  # some work in between
        await eventually(have_ended)
        done = [await tasks.wait(task) for task in made]
        dead = await count_ready(holder.connection, queues.dead_queue)

    assert ({task["status"] for task in done}, dead) == ({"succeeded"}, 0)


async def test_a_disabled_users_task_fails_with_the_reason(
    installation: Installation, tasks: Tasks, register_user: RegisterUser
) -> None:
    leaving = await register_user()
    theirs = Tasks(tasks.client, leaving)
    task = await theirs.submit("test.whoami")
    async with _auth_database(installation) as database, database.transaction() as session:
        disable = text("UPDATE user_account SET disabled_at = now() WHERE id = :id")
        await session.execute(disable, {"id": leaving.user_id})

    async with installation.worker():
        failed = await theirs.wait(task)

    assert (failed["status"], failed["attempt"]) == ("failed", 1)
    assert failed["error"]["code"] == "tasks.authority_ended"


def _auth_database(installation: Installation) -> AbstractAsyncContextManager[Database]:
    from services.auth.lifespan import MIGRATIONS
    from shared.postgres import open_database

    url = installation.suite.environment("auth")["DATABASE_URL"]
    return open_database(url, "auth", MIGRATIONS)


def test_the_delivery_bound_leaves_room_for_restarts() -> None:
    assert MAX_DELIVERIES >= 10
