"""S23: what anybody may do without end is written once and counted by all replicas, and a flood is bounded."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event, text

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from services.auth.models import OutboxRow
from services.auth.trust import work
from services.auth.trust.audit.actions import CHANGES, REPEATABLE, Action
from services.auth.trust.audit.log import AuditLog
from services.auth.trust.audit.repeats import ROOM, ROOM_OF_TENANT
from services.auth.trust.audit.verification import verify
from services.auth.trust.work import Works
from shared.errors import Unavailable
from shared.identity import Revocations
from shared.postgres import Database, Outbox, open_database
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.auth.auditing import count_entries, count_told, end_windows
from tests.services.auth.tampering import tamper

KEY = "k" * 32
FLOOD = 2_000
# Whole, about a target, in a tenant: each has as much room; and one for all others.
MOST_AT_ONCE = 3 * ROOM + 1


@pytest.fixture(autouse=True)
def patient_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many at once each has its turn, however long the machine takes for those before it."""
    monkeypatch.setattr(work, "_NOTE_WAIT_SECONDS", PATIENCE_SECONDS)


@pytest.fixture(scope="module")
async def own_database(suite: Suite) -> AsyncIterator[Database]:
    suite.up(["postgres"])
    async with open_database(suite.url("postgres"), f"repeats_{secrets.token_hex(6)}", MIGRATIONS) as database:
        yield database


@pytest.fixture
async def database(own_database: Database) -> Database:
    """An empty log that no service writes."""
    await tamper(own_database, "TRUNCATE audit_entry RESTART IDENTITY", "TRUNCATE audit_window")
    return own_database


def replica(database: Database) -> Works:
    """auth's works in a process of their own."""
    return Works(database, AuditLog(KEY), Outbox(OutboxRow), Revocations())


async def refuse(works: Works, *, source: str = "192.0.2.1", **said: Any) -> None:
    named = {"target": "key", "tenant_id": "tenant"} | said
    await works.note(Action.API_KEY_REFUSED, source=source, **named)


async def settle(database: Database, *replicas: Works) -> None:
    """All that housekeeping does, after minutes."""
    for works in replicas:
        await works.audit.repeats.write(database)
    await end_windows(database)
    for works in replicas:
        await works.audit.settle(database)


async def entries(database: Database) -> list[dict[str, Any]]:
    async with database.session() as session:
        rows = await session.execute(text("SELECT * FROM audit_entry ORDER BY number"))
        return [dict(row) for row in rows.mappings()]


async def is_unbroken(database: Database) -> bool:
    return (await verify(database, AuditLog(KEY))).is_good


async def test_the_first_is_written_at_once_and_the_rest_as_a_number(database: Database) -> None:
    works = replica(database)

    for _ in range(5):
        await refuse(works)
    at_once = await entries(database)
    await settle(database, works)
    first, summary = await entries(database)

    assert [one["details"] for one in at_once] == [{}]
    assert summary["details"].items() >= {"repeated": 4}.items()
    assert summary["details"]["since"] <= summary["details"]["until"]
    same = ("action", "actor", "tenant_id", "target", "source", "trace_id")
    assert [first[name] for name in same] == [summary[name] for name in same]
    assert await is_unbroken(database)


async def test_what_was_not_repeated_has_no_second_entry_and_is_the_first_again_later(database: Database) -> None:
    works = replica(database)

    await refuse(works)
    await settle(database, works)
    alone = await count_entries(database, Action.API_KEY_REFUSED)
    await refuse(replica(database))

    assert (alone, await count_entries(database, Action.API_KEY_REFUSED)) == (1, 2)


@pytest.mark.parametrize(
    "other", [{"source": "192.0.2.2"}, {"target": "another"}, {"tenant_id": "other"}, {"reason": "expired"}]
)
async def test_what_differs_is_an_entry_of_its_own(database: Database, other: dict[str, Any]) -> None:
    works = replica(database)

    await refuse(works)
    await refuse(works, **other)

    assert await count_entries(database, Action.API_KEY_REFUSED) == 2


async def test_two_replicas_write_one_first_and_count_together(database: Database) -> None:
    replicas = [replica(database) for _ in range(2)]

    await asyncio.gather(*(refuse(works) for works in replicas * 10))
    firsts = await count_entries(database, Action.API_KEY_REFUSED)
    await settle(database, *replicas)

    assert firsts == 1
    assert [one["details"].get("repeated") for one in await entries(database)] == [None, 19]


async def test_two_replicas_close_a_window_once(database: Database) -> None:
    replicas = [replica(database) for _ in range(2)]
    for target in range(30):
        for works in replicas:
            await refuse(works, target=f"key {target}")
    for works in replicas:
        await works.audit.repeats.write(database)
    await end_windows(database)

    await asyncio.gather(*(works.audit.settle(database) for works in replicas))

    assert await count_entries(database, Action.API_KEY_REFUSED) == 60
    assert await count_told(database, Action.API_KEY_REFUSED) == 60
    assert await is_unbroken(database)


async def test_what_a_replica_counts_too_late_is_said_too(database: Database) -> None:
    late, prompt = replica(database), replica(database)
    await refuse(late)
    await refuse(late)
    await end_windows(database)
    await prompt.audit.settle(database)

    await settle(database, late)

    assert await count_told(database, Action.API_KEY_REFUSED) == 2


async def test_a_flood_from_everywhere_leaves_a_bounded_number_of_entries_that_count_all_of_it(
    database: Database,
) -> None:
    replicas, room = [replica(database) for _ in range(2)], asyncio.Semaphore(16)

    async def fail(number: int) -> None:
        async with room:
            of = {"tenant_id": f"tenant {number % 700}", "target": f"key {number}"}
            await refuse(replicas[number % 2], source=f"2001:db8:{number:x}::/64", **of)

    await asyncio.gather(*(fail(number) for number in range(FLOOD)))
    at_once = await count_entries(database, Action.API_KEY_REFUSED)
    await settle(database, *replicas)

    assert at_once <= MOST_AT_ONCE
    assert await count_entries(database, Action.API_KEY_REFUSED) <= 2 * MOST_AT_ONCE
    assert await count_told(database, Action.API_KEY_REFUSED) == FLOOD
    assert await is_unbroken(database)


async def test_a_burst_leaves_the_connections_to_others(database: Database) -> None:
    works, held, most = replica(database), 0, 0

    def taken(*_: object) -> None:
        nonlocal held, most
        held, most = held + 1, max(most, held + 1)

    def put_back(*_: object) -> None:
        nonlocal held
        held -= 1

    event.listen(database.engine.sync_engine, "checkout", taken)
    event.listen(database.engine.sync_engine, "checkin", put_back)
    try:
        await asyncio.gather(*(refuse(works, source=f"source {number}") for number in range(500)))
    finally:
        event.remove(database.engine.sync_engine, "checkout", taken)
        event.remove(database.engine.sync_engine, "checkin", put_back)

    assert 0 < most <= 2
    assert await count_entries(database, Action.API_KEY_REFUSED) == ROOM_OF_TENANT + 1


async def test_a_tenant_that_is_flooded_hides_nothing_of_another(database: Database) -> None:
    works = replica(database)
    for number in range(10 * ROOM_OF_TENANT):
        await refuse(works, source=f"source {number}", target=f"key {number}")

    await refuse(works, tenant_id="neighbour", target="theirs")

    *of_flooded, last = await entries(database)
    assert len(of_flooded) == 2 * ROOM_OF_TENANT + 1
    assert (last["tenant_id"], last["target"], last["details"]) == ("neighbour", "theirs", {})


async def test_a_key_that_is_guessed_from_everywhere_is_still_named(database: Database) -> None:
    works = replica(database)

    for number in range(2 * ROOM_OF_TENANT):
        await refuse(works, source=f"source {number}")

    last = (await entries(database))[-1]
    assert (last["target"], last["tenant_id"], last["source"]) == ("key", "tenant", None)
    assert last["details"] == {"others": True}


async def test_a_change_is_never_said_shorter(database: Database) -> None:
    works = replica(database)

    for number in range(2 * ROOM_OF_TENANT):
        async with works.begin() as begun:
            begun.note(Action.AGENT_UPDATED, actor="ada", tenant_id="tenant", target=f"agent {number}")

    assert {one["target"] for one in await entries(database)} == {f"agent {n}" for n in range(2 * ROOM_OF_TENANT)}


async def test_on_a_full_disk_reads_go_on_and_are_noted_later(database: Database) -> None:
    works = replica(database)
    full = (
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON audit_entry FOR EACH STATEMENT EXECUTE FUNCTION full_disk()",
    )
    await tamper(database, *full)
    try:
        for _ in range(3):
            await works.note(Action.USER_LISTED, actor="admin")
        with pytest.raises(Unavailable):
            async with works.begin() as begun:
                begun.note(Action.USER_DISABLED, actor="admin", target="ada")
    finally:
        await tamper(database, "DROP FUNCTION full_disk CASCADE")

    await settle(database, works)
    assert await count_told(database, Action.USER_LISTED) == 3


def test_what_takes_something_away_or_gives_it_is_written_each_time() -> None:
    counted = REPEATABLE | CHANGES

    assert {
        action for action in Action if action.endswith((".created", ".deleted", ".revoked", ".removed"))
    } & counted == {Action.RECORD_DELETED}
