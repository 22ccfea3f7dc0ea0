"""What other services tell: each deed is one entry, however often it is delivered, and nothing else is believed."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from services.auth.models import OutboxRow
from services.auth.trust.audit.log import AuditLog
from services.auth.trust.audit.verification import verify
from services.auth.trust.consumers import hearing
from services.auth.trust.work import Works
from shared.identity import DEED_DONE, DEEDS_QUEUE, Deed, Revocations, declare_deeds
from shared.messages import EVENTS_EXCHANGE, Connection, OutgoingMessage, Publisher, open_connection
from shared.postgres import Database, Outbox, open_database
from tests.fixtures.brokers import own_broker
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.auth.auditing import count_told, end_windows

LOG = AuditLog("k" * 32)
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
async def database(suite: Suite) -> AsyncIterator[Database]:
    """A log of its own."""
    suite.up(["postgres"])
    async with open_database(suite.url("postgres"), f"heard_{secrets.token_hex(6)}", MIGRATIONS) as database:
        yield database


@pytest.fixture(scope="module")
async def url(suite: Suite) -> str:
    """A broker within the suite's, where no auth of the suite hears."""
    return await own_broker(suite)


@pytest.fixture
async def publisher(url: str, database: Database) -> AsyncIterator[Publisher]:
    works = Works(database, LOG, Outbox(OutboxRow), Revocations())
    async with hearing(works, url), open_connection(url, "test") as connection:
        yield Publisher(connection, declare_deeds)


def message(id: str | None = None, **changes: Any) -> OutgoingMessage:
    done = Deed(action="agent.created", actor="ada", tenant_id="tenant", target=f"agent-{secrets.token_hex(4)}")
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    body = orjson.dumps(done.body | changes)
    return OutgoingMessage(id or secrets.token_hex(8), EVENTS_EXCHANGE, DEED_DONE, body, headers)


async def entries(database: Database, target: str) -> list[dict[str, Any]]:
    async with database.session() as session:
        found = await session.execute(text("SELECT * FROM audit_entry WHERE target = :target"), {"target": target})
        return [dict(row) for row in found.mappings()]


async def until(found: Callable[[], Any]) -> Any:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        if result := await found():
            return result
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.05)


async def test_a_deed_is_one_entry_with_who_did_it_when_and_in_whose_place(
    publisher: Publisher, database: Database
) -> None:
    at = "2026-01-02T03:04:05.678901+00:00"
    told = message(target="agent-1", act="service:tasks", key_id="key", at=at, details={"count": 3})

    for _ in range(3):
        await publisher.publish(told)
    await publisher.publish(message(target="last"))
    await until(lambda: entries(database, "last"))

    [entry] = await entries(database, "agent-1")
    assert (entry["action"], entry["actor"], entry["tenant_id"]) == ("agent.created", "ada", "tenant")
    assert entry["details"] == {"act": "service:tasks", "key_id": "key", "count": 3}
    assert (entry["at"].isoformat(), entry["trace_id"], entry["source"]) == (at, TRACE, None)
    assert (await verify(database, LOG)).is_good


async def test_a_time_of_another_zone_breaks_no_chain(publisher: Publisher, database: Database) -> None:
    await publisher.publish(message(target="elsewhere", at="2026-01-02T05:04:05.678901+02:00"))

    [entry] = await until(lambda: entries(database, "elsewhere"))
    assert entry["at"].isoformat() == "2026-01-02T03:04:05.678901+00:00"
    assert (await verify(database, LOG)).is_good


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "user.disabled"},
        {"action": "invented"},
        {"actor": ""},
        {"actor": None},
        {"tenant_id": None},
        {"times": 2},
        {"action": "token.forged", "times": 0},
        {"target": "x" * 257},
        {"at": "2026-01-02T03:04:05"},
        {"details": {str(number): number for number in range(9)}},
        {"details": {"text": "x" * 257}},
    ],
)
async def test_what_no_service_would_tell_is_no_entry(
    publisher: Publisher, database: Database, changes: dict[str, Any]
) -> None:
    mark = secrets.token_hex(8)
    bad = message(**({"target": mark} | changes))

    await publisher.publish(bad)
    await publisher.publish(message(target=f"after {mark}"))

    await until(lambda: entries(database, f"after {mark}"))
    assert await entries(database, mark) == []


async def test_while_the_store_is_away_a_deed_waits_for_whoever_has_one(url: str, database: Database) -> None:
    mark = secrets.token_hex(8)
    nowhere = Database(create_async_engine("postgresql+asyncpg://nobody:x@127.0.0.1:1/"))
    async with open_connection(url, "test") as connection:
        async with hearing(Works(nowhere, LOG, Outbox(OutboxRow), Revocations()), url):
            await Publisher(connection, declare_deeds).publish(message(target=mark))
            await until(lambda: is_taken(connection))
        assert await until(lambda: connection.count_ready(DEEDS_QUEUE)) == 1

    async with hearing(Works(database, LOG, Outbox(OutboxRow), Revocations()), url):
        [entry] = await until(lambda: entries(database, mark))

    assert entry["action"] == "agent.created"


async def is_taken(connection: Connection) -> bool:
    """Whether somebody has every deed in hand."""
    return await connection.count_ready(DEEDS_QUEUE) == 0


async def test_details_name_nobody_else(publisher: Publisher, database: Database) -> None:
    mark = secrets.token_hex(8)

    await publisher.publish(message(target=mark, act="service:chat", details={"act": "somebody", "actor": "eve"}))

    [entry] = await until(lambda: entries(database, mark))
    assert (entry["actor"], entry["details"]["act"]) == ("ada", "service:chat")


def forged(target: str, times: int = 1) -> OutgoingMessage:
    return message(
        action="token.forged",
        actor=None,
        tenant_id=None,
        target=target,
        source="192.0.2.1",
        times=times,
        details={"asked": "GET /api/v1/agents/list"},
    )


async def test_a_forged_token_is_told_of_nobody_but_an_address(publisher: Publisher, database: Database) -> None:
    mark = secrets.token_hex(8)

    await publisher.publish(forged(mark))

    [entry] = await until(lambda: entries(database, mark))
    assert (entry["action"], entry["actor"], entry["tenant_id"]) == ("token.forged", None, None)
    assert (entry["source"], entry["details"]) == ("192.0.2.1", {"asked": "GET /api/v1/agents/list"})


async def test_what_services_counted_is_counted_on_in_two_entries(url: str, database: Database) -> None:
    """By however many processes it was told: one tells the first, and each how often it came again."""
    mark, works = secrets.token_hex(8), Works(database, LOG, Outbox(OutboxRow), Revocations())
    async with hearing(works, url), open_connection(url, "test") as connection:
        publisher = Publisher(connection, declare_deeds)
        for times in (1, 40, 1, 7):
            await publisher.publish(forged(mark, times))
        await publisher.publish(message(target=f"after {mark}"))
        await until(lambda: entries(database, f"after {mark}"))

    await LOG.repeats.write(database)
    await end_windows(database)
    await LOG.settle(database)

    assert await count_told(database, "token.forged", mark) == 1 + 48
    assert [entry["details"].get("repeated") for entry in await entries(database, mark)] == [None, 48]
    assert (await verify(database, LOG)).is_good


async def test_all_others_are_one_entry(publisher: Publisher, database: Database) -> None:
    others: dict[str, Any] = {"actor": None, "tenant_id": None, "target": None, "details": {"others": True}}
    mark = secrets.token_hex(8)

    await publisher.publish(message(action="access.refused", **others))
    await publisher.publish(message(target=mark))

    await until(lambda: entries(database, mark))
    assert await until(lambda: refused(database)) == [{"others": True}]  # two are heard at once, in any order


async def refused(database: Database) -> list[dict[str, Any]]:
    """What the log says of those who were refused."""
    async with database.session() as session:
        found = await session.execute(text("SELECT details FROM audit_entry WHERE action = 'access.refused'"))
        return [row.details for row in found]
