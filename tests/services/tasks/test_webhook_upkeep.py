"""What webhooks leave behind is taken away, and one that piles up is stopped."""

from collections.abc import Callable
from typing import cast

import pytest
from fastapi import FastAPI
from sqlalchemy import TextClause, text

from services.tasks.webhooks import upkeep
from services.tasks.webhooks.delivering import Delivering
from services.tasks.webhooks.upkeep import Upkeep
from shared.postgres import Database
from tests.services.tasks.hooking import DELIVERING, LOOPBACK, Receiver, Webhooks
from tests.services.tasks.running import Installation, eventually

COUNT = text("SELECT count(*) FROM webhook_delivery WHERE webhook_id = :id")
ATTEMPTS = text("SELECT count(*) FROM webhook_attempt WHERE delivery_id = :id")


async def counted(database: Database, statement: TextClause, id: str) -> int:
    async with database.statements() as session:
        return int(await session.scalar(statement, {"id": id}) or 0)


@pytest.mark.usefixtures("delivering")
async def test_deliveries_are_kept_for_so_many_days_and_their_attempts_with_them(
    hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    webhook = await hooks.make(f"{receiver.url}/a")
    old, young = [await hooks.over(await hooks.test(webhook)) for _ in range(2)]

    async with hooks_database.transaction() as session:
        age = text("UPDATE webhook_delivery SET created_at = now() - interval '31 days' WHERE id = :id")
        await session.execute(age, {"id": old["id"]})

    async def is_gone() -> bool:
        return [one["id"] for one in await hooks.deliveries(webhook)] == [young["id"]]

    assert await eventually(is_gone)
    assert await counted(hooks_database, ATTEMPTS, old["id"]) == 0
    answer = await hooks.call("GET", f"/{webhook['id']}/deliveries/{old['id']}")
    assert (answer.status_code, answer.json()["code"]) == (404, "tasks.webhook_delivery_not_found")


async def test_what_a_deleted_webhook_had_goes_and_nothing_of_it_is_sent(
    hooked: Installation, hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    webhook = await hooks.make(f"{receiver.url}/a")
    await hooks.test(webhook)
    await hooks.call("DELETE", f"/{webhook['id']}")
    async with hooks_database.transaction() as session:
        long = text("UPDATE webhook SET deleted_at = now() - interval '2 minutes' WHERE id = :id")
        await session.execute(long, {"id": webhook["id"]})

    async def is_gone() -> bool:
        there = text("SELECT count(*) FROM webhook WHERE id = :id")
        return await counted(hooks_database, there, webhook["id"]) == 0

    async with hooked.worker(**DELIVERING):
        assert await eventually(is_gone)

    assert await counted(hooks_database, COUNT, webhook["id"]) == 0
    assert receiver.arrived == []


async def test_a_webhook_for_which_too_much_waits_is_disabled_and_what_waits_can_be_replayed(
    hooked: Installation, hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    webhook = await hooks.make(f"{receiver.url}/a")
    waiting = [await hooks.test(webhook) for _ in range(12)]
    async with hooks_database.transaction() as session:
        later = text("UPDATE webhook_delivery SET next_at = now() + interval '1 hour' WHERE webhook_id = :id")
        await session.execute(later, {"id": webhook["id"]})

    async with hooked.worker(**DELIVERING, webhook_max_waiting=10):
        disabled = await hooks.disabled(webhook)
        for delivery in waiting:
            await hooks.over(delivery)
        await hooks.change(webhook, is_enabled=True)
        since = {"since": waiting[0]["created_at"], "until": waiting[4]["created_at"]}
        replayed = await hooks.call("POST", f"/{webhook['id']}/replay", json=since)
        await receiver.have("/a", replayed.json()["count"])

    assert disabled["error"]["code"] == "tasks.webhook_overflowed"
    assert 4 <= replayed.json()["count"] <= 6, "times are told to the millisecond"


async def test_an_attempt_log_keeps_the_latest_fifty(
    hooked: Installation, hooks: Webhooks, hooks_database: Database, receiver: Receiver
) -> None:
    webhook = await hooks.make(f"{receiver.url}/a")
    delivery = await hooks.test(webhook)
    async with hooks_database.transaction() as session:
        many = text(
            "INSERT INTO webhook_attempt (delivery_id, number, at, duration_ms) "
            "SELECT CAST(:id AS uuid), number, now(), 1 FROM generate_series(1, 60) AS number"
        )
        await session.execute(many, {"id": delivery["id"]})
        claimed = text("UPDATE webhook_delivery SET claims = 60 WHERE id = :id")
        await session.execute(claimed, {"id": delivery["id"]})

    async with hooked.worker(**DELIVERING):
        read = await hooks.over(delivery)

    assert [one["number"] for one in read["attempts"]] == list(range(12, 62))


async def later(database: Database, webhook: dict[str, object]) -> None:
    async with database.transaction() as session:
        put_off = text("UPDATE webhook_delivery SET next_at = now() + interval '1 hour' WHERE webhook_id = :id")
        await session.execute(put_off, {"id": webhook["id"]})


async def test_where_too_much_waits_for_a_tenant_the_fullest_of_its_webhooks_is_disabled_and_what_waits_is_measured(
    new_installation: Callable[[], Installation], hooks: Webhooks, receiver: Receiver
) -> None:
    installation = new_installation()
    async with installation.api(**LOOPBACK) as client, installation.database() as database:
        mine = Webhooks(client, hooks.user)
        fuller, other = [await mine.make(f"{receiver.url}/{count}") for count in (7, 5)]
        for webhook, count in ((fuller, 7), (other, 5)):
            for _ in range(count):
                await mine.test(webhook)
            await later(database, webhook)

        async with installation.worker(**DELIVERING, webhook_max_waiting_of_tenant=10) as worker:
            disabled = await mine.disabled(fuller)
            await eventually(lambda: _waits(worker, 5))

        assert disabled["error"]["code"] == "tasks.webhook_overflowed"
        assert (await mine.get(other))["is_enabled"]
        assert len(await mine.deliveries(other, status="pending")) == 5


async def _waits(worker: FastAPI, count: int) -> bool:
    registry = worker.state.metrics.registry
    late = registry.get_sample_value("tasks_webhook_deliveries_late_seconds")
    return bool(registry.get_sample_value("tasks_webhook_deliveries_waiting") == count and late < 0)


async def test_of_a_webhook_the_latest_are_kept_and_nothing_that_waits_goes(
    hooked: Installation,
    hooks: Webhooks,
    hooks_database: Database,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "_BATCH", 2)
    webhook, other = [await hooks.make(f"{receiver.url}/{name}") for name in ("a", "b")]
    made = [await hooks.test(webhook) for _ in range(16)]
    await later(hooks_database, webhook)
    async with hooks_database.transaction() as session:
        over = text(
            "UPDATE webhook_delivery SET status = 'succeeded', next_at = NULL WHERE webhook_id = :id AND id <> :waiting"
        )
        await session.execute(over, {"id": webhook["id"], "waiting": made[1]["id"]})
    few = await hooks.test(other)

    async def are_kept() -> bool:
        return len(await hooks.deliveries(webhook)) == 11

    async with hooked.worker(**DELIVERING, webhook_max_kept=10):
        await hooks.over(few)
        await eventually(are_kept)

    kept = [one["id"] for one in await hooks.deliveries(webhook)]
    assert kept == [one["id"] for one in [made[1], *made[6:]]][::-1]
    assert [one["id"] for one in await hooks.deliveries(other)] == [few["id"]]


async def test_batches_are_taken_away_without_counting_what_waits_for_each(
    hooks: Webhooks, hooks_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_BATCH", 2)
    webhook = await hooks.make("https://example.com/hooks")
    for _ in range(5):
        await hooks.test(webhook)
    await hooks.change(webhook, is_enabled=False)
    nobody = cast("Delivering", None)  # who would count
    sweeping = Upkeep(hooks_database, nobody, days=30, most_kept=100, every_seconds=60)

    while await sweeping.sweep():
        pass

    assert await hooks.deliveries(webhook, status="pending") == []
