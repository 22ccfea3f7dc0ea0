"""The readiness of tasks and its worker notices a broker that moves nothing, tasks nobody begins, and a full disk."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, text, update

from local.components.rabbitmq import SERVER
from local.suite import Suite
from services.tasks.domain import Priority
from services.tasks.health import Waiting
from services.tasks.models import OutboxRow, Task
from services.tasks.queues import Queues
from services.tasks.webhooks.lateness import Deliveries
from shared.messages import Connection, open_connection, open_probe
from shared.postgres import Database
from tests.fixtures.disks import small_disk
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.readiness import until_check
from tests.services.tasks.hooking import DELIVERING, LOOPBACK, Receiver, Webhooks
from tests.services.tasks.running import Installation, Tasks, connected, count_ready, eventually

DUE_FOR_LONG = text("UPDATE webhook_delivery SET next_at = now() - interval '5 minutes' WHERE webhook_id = :webhook_id")


@pytest.fixture(scope="module")
def hooked(new_installation: Callable[[], Installation]) -> Installation:
    """Of their own: what the tests of webhooks leave waiting is late some time."""
    return new_installation()


@pytest.fixture(scope="module")
async def hooks_api(hooked: Installation) -> AsyncIterator[httpx.AsyncClient]:
    async with hooked.api(**LOOPBACK) as client:
        yield client


async def rabbitmqctl(suite: Suite, *command: str) -> None:
    environment = suite.environment("rabbitmq")
    call = [str(SERVER.with_name("rabbitmqctl")), "-q", *command]
    await asyncio.to_thread(subprocess.run, call, env=environment, check=True, capture_output=True, timeout=60)


async def test_a_broker_with_an_alarm_is_told_and_back_by_itself(installation: Installation, tasks: Tasks) -> None:
    suite = installation.suite
    async with installation.worker() as app, connected(httpx.ASGITransport(app)) as worker:
        await until_check(tasks.client, "rabbitmq", "pass")
        await until_check(worker, "rabbitmq", "pass")

        await rabbitmqctl(suite, "set_vm_memory_high_watermark", "absolute", "1")
        try:
            told = await until_check(tasks.client, "rabbitmq", "warn", code=200)
            failed = await until_check(worker, "rabbitmq", "fail")
            accepted = await tasks.submit("echo")
        finally:
            await rabbitmqctl(suite, "set_vm_memory_high_watermark", "absolute", "1GB")

        assert (told["code"], failed["code"]) == (200, 503)
        assert told["detail"].endswith("look at its free space, its memory and its log, then restart it (`make up`)")
        await until_check(tasks.client, "rabbitmq", "pass")
        await until_check(worker, "rabbitmq", "pass")
        assert (await tasks.wait(accepted))["status"] == "succeeded"


async def test_a_quorum_queue_that_is_down_is_told_though_the_broker_answers(
    installation: Installation, tasks: Tasks
) -> None:
    queue = "{quorum_queues, {'sutazai_sutazai.probes', node()}}"
    await until_check(tasks.client, "rabbitmq", "pass")

    await rabbitmqctl(installation.suite, "eval", f"apply(ra, stop_server, tuple_to_list({queue})).")
    try:
        await until_check(tasks.client, "rabbitmq", "warn")
        async with (
            open_connection(installation.suite.url("rabbitmq"), "test") as other,
            asyncio.timeout(PATIENCE_SECONDS),
        ):
            await other.ready()
    finally:
        await rabbitmqctl(installation.suite, "eval", f"apply(ra, restart_server, tuple_to_list({queue})).")

    await until_check(tasks.client, "rabbitmq", "pass")


async def test_replicas_share_the_queue_of_health_checks_and_leave_nothing(installation: Installation) -> None:
    url = installation.suite.url("rabbitmq")
    async with (
        open_connection(url, "one") as one,
        open_connection(url, "two") as two,
        open_probe(one) as first,
        open_probe(two) as second,
    ):
        await asyncio.gather(one.ready(), two.ready())
        for _ in range(20):
            await asyncio.gather(first.check(), second.check())

        await eventually(lambda: _is_empty(one))  # the suite's own services look at their health meanwhile


async def _is_empty(broker: Connection) -> bool:
    return await count_ready(broker, "sutazai.probes") == 0


async def test_a_task_that_nobody_begins_is_told(new_installation: Callable[[], Installation], tasks: Tasks) -> None:
    fresh = new_installation()
    async with fresh.api(queue_warn_seconds=60) as client, fresh.database() as database:
        own = Tasks(client, tasks.user)
        await until_check(client, "queue", "pass")
        task = await own.submit("echo")
        await until_check(client, "queue", "pass")
        await made_older(database, task["id"])

        told = await until_check(client, "queue", "warn", code=200)

        assert told["code"] == 200
        assert told["detail"].startswith("a task that is due has waited 3")
        assert "workers" in told["detail"]
        async with fresh.worker():
            assert (await own.wait(task))["status"] == "succeeded"
            await until_check(client, "queue", "pass")


async def made_older(database: Database, task_id: str) -> None:
    async with database.transaction() as session:
        older = {"run_at": func.now() - timedelta(minutes=5)}
        await session.execute(update(Task).where(Task.id == task_id).values(older))


async def test_a_task_that_is_not_due_waits_for_nobody(
    new_installation: Callable[[], Installation], tasks: Tasks
) -> None:
    fresh = new_installation()
    async with fresh.api() as client, fresh.database() as database:
        await Tasks(client, tasks.user).submit("echo", run_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())

        assert await Waiting(database).seconds() == 0


async def test_a_delivery_that_nobody_sends_is_told(
    hooked: Installation, hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    webhook = await hooks.make(f"{receiver.url}/a")
    delivery = await hooks.test(webhook)
    await until_check(hooks.client, "deliveries", "pass")
    async with hooks_database.transaction() as session:
        await session.execute(DUE_FOR_LONG, {"webhook_id": webhook["id"]})

    told = await until_check(hooks.client, "deliveries", "warn", code=200)

    assert told["code"] == 200
    assert told["detail"].startswith("a delivery to a webhook has been due for 3")
    async with hooked.worker(**DELIVERING):
        assert (await hooks.over(delivery))["status"] == "succeeded"
        await until_check(hooks.client, "deliveries", "pass")


LEFT_ALONE = ["is_enabled = false", "failing_since = now()", "held_until = now() + interval '1 hour'"]


@pytest.mark.parametrize("why", LEFT_ALONE)
async def test_a_delivery_that_is_not_to_be_sent_now_is_not_late(
    hooks: Webhooks, hooks_database: Database, receiver: Receiver, why: str
) -> None:
    webhook = await hooks.make(f"{receiver.url}/a")
    await hooks.test(webhook)
    async with hooks_database.transaction() as session:
        await session.execute(DUE_FOR_LONG, {"webhook_id": webhook["id"]})
    before = await Deliveries(hooks_database).late_seconds()
    async with hooks_database.transaction() as session:
        left_alone = text(f"UPDATE webhook SET {why} WHERE id = :id")  # noqa: S608 - ours
        await session.execute(left_alone, {"id": webhook["id"]})

    assert before > 299
    assert await Deliveries(hooks_database).late_seconds() == 0


async def test_deliveries_of_a_tenant_that_is_served_wait_for_its_own(
    hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    """As while one is under way to a receiver that is slow."""
    webhook = await hooks.make(f"{receiver.url}/a")
    under_way, _ = await hooks.test(webhook), await hooks.test(webhook)
    async with hooks_database.transaction() as session:
        await session.execute(DUE_FOR_LONG, {"webhook_id": webhook["id"]})
        claimed = text("UPDATE webhook_delivery SET next_at = now() + interval '1 minute', claims = 1 WHERE id = :id")
        await session.execute(claimed, {"id": under_way["id"]})

    assert await Deliveries(hooks_database).late_seconds() == 0


async def is_in_hand(installation: Installation) -> bool:
    """Whether all messages were published, and are with a worker."""
    async with (
        installation.database() as database,
        database.session() as session,
        open_connection(installation.suite.url("rabbitmq"), "test") as broker,
    ):
        unpublished = await session.scalar(select(func.count()).select_from(OutboxRow))
        queue = Queues(installation.names["queue_prefix"]).queue(Priority.NORMAL)
        return not unpublished and not await count_ready(broker, queue)


async def test_a_worker_begins_nothing_on_a_disk_that_is_nearly_full(
    new_installation: Callable[[], Installation], tasks: Tasks, tmp_path: Path
) -> None:
    fresh = new_installation()
    with small_disk(tmp_path / "disk", 16) as disk:
        disk.fill(free_mib=2)
        async with fresh.api() as client, fresh.worker(storage_folders=str(disk.path), storage_floor_mib=4) as worker:
            own = Tasks(client, tasks.user)
            await until_check(connected(httpx.ASGITransport(worker)), "storage", "warn")

            task = await own.submit("echo")
            await eventually(lambda: is_in_hand(fresh))
            assert (await own.get(task))["status"] == "queued"

            disk.free()
            done = await own.wait(task)

    assert (done["status"], done["attempt"]) == ("succeeded", 1)
