"""Connections that ended while nobody used them cost nobody a request."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import delete, select, text

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from services.auth.models import ProbeRow
from shared.errors import StorageFull, Unavailable
from shared.postgres import Database, DatabaseProbe, open_database
from shared.postgres import opening as db
from shared.postgres.database import postgres_errors
from tests.fixtures.patience import PATIENCE_SECONDS


@pytest.fixture
async def database(suite: Suite) -> AsyncIterator[Database]:
    suite.up(["postgres"])
    async with open_database(suite.environment("auth")["DATABASE_URL"], "auth", MIGRATIONS) as database:
        yield database


async def process(database: Database) -> int:
    """The server's process behind the connection that is used next."""
    async with database.session() as session:
        return int(await session.scalar(text("SELECT pg_backend_pid()")) or 0)


async def end(suite: Suite, process: int) -> None:
    """As a restart of the server would, seen from one connection."""
    url = suite.environment("auth")["DATABASE_URL"].replace("+asyncpg", "")
    other = await asyncpg.connect(url, database="auth")
    assert await other.fetchval("SELECT pg_terminate_backend($1, 60000)", process)  # and waits for its end
    await other.close()


async def test_a_connection_is_used_again_without_being_asked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "_TRUSTED_SECONDS", PATIENCE_SECONDS)
    first = await process(database)
    monkeypatch.setattr(database.engine.dialect, "do_ping", None)

    assert await process(database) == first


async def test_one_that_is_given_back_after_the_end_is_closed(suite: Suite, database: Database) -> None:
    held, may_go = asyncio.Future[int](), asyncio.Event()

    async def hold(ending: Database) -> None:
        async with ending.session() as session:
            held.set_result(int(await session.scalar(text("SELECT pg_backend_pid()")) or 0))
            await may_go.wait()

    async with open_database(suite.environment("auth")["DATABASE_URL"], "auth", MIGRATIONS) as ending:
        holding = asyncio.create_task(hold(ending))
        process = await held
    may_go.set()
    await holding

    connected = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :process")
    async with asyncio.timeout(PATIENCE_SECONDS), database.statements() as session:
        while await session.scalar(connected, {"process": process}):
            pass  # each look is a round trip


async def test_one_that_the_server_closed_is_replaced(suite: Suite, database: Database) -> None:
    first = await process(database)
    await end(suite, first)

    assert await process(database) != first


async def test_one_that_died_in_silence_is_replaced(
    suite: Suite, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await process(database)
    await end(suite, first)
    monkeypatch.setattr(asyncpg.Connection, "is_closed", lambda _: False)  # no packet told us
    monkeypatch.setattr(db, "_TRUSTED_SECONDS", 0.0)

    assert await process(database) != first


async def test_a_single_statement_needs_no_commit_and_a_session_does(database: Database) -> None:
    write = text("INSERT INTO login_throttle (key, failures, last_failed_at) VALUES (:key, 1, now())")
    read = text("SELECT count(*) FROM login_throttle WHERE key IN ('\\xa1', '\\xa2')")
    clean = text("DELETE FROM login_throttle WHERE key IN ('\\xa1', '\\xa2')")
    async with database.statements() as session:
        await session.execute(write, {"key": b"\xa1"})
    async with database.session() as session:
        await session.execute(write, {"key": b"\xa2"})

    async with database.statements() as session:
        found = await session.scalar(read)
        await session.execute(clean)

    assert found == 1


@pytest.mark.parametrize(
    ("sqlstate", "becomes"), [("53100", StorageFull), ("53200", Unavailable), ("25006", Unavailable)]
)
async def test_what_the_server_refuses_for_now_is_told_apart(
    database: Database, sqlstate: str, becomes: type[Unavailable]
) -> None:
    refusal = text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$")

    with pytest.raises(Unavailable) as raised:
        async with database.session() as session:
            await session.execute(refusal)

    assert type(raised.value) is becomes


async def test_a_probe_keeps_one_row_of_each_instance_and_forgets_those_that_are_gone(database: Database) -> None:
    gone, mine = "gone", DatabaseProbe(database, ProbeRow, "test-db")
    async with database.transaction() as session:
        session.add(ProbeRow(instance=gone, token="x", written_at=datetime.now(UTC) - timedelta(days=2)))

    await mine.check()
    await mine.check()

    async with database.transaction() as session:
        rows = set(await session.scalars(select(ProbeRow.instance).where(ProbeRow.instance.in_([gone, "test-db"]))))
        await session.execute(delete(ProbeRow).where(ProbeRow.instance == "test-db"))
    assert rows == {"test-db"}


async def test_a_process_that_is_frozen_in_a_transaction_keeps_its_locks_for_a_while_only(
    suite: Suite, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is told so when it goes on, as of a server that was away."""
    monkeypatch.setattr(db, "_IDLE_SECONDS", 1)
    lock = text("SELECT pg_advisory_xact_lock(77)")
    async with (
        open_database(suite.environment("auth")["DATABASE_URL"], "auth", MIGRATIONS) as brief,
        brief.engine.connect() as frozen,
    ):
        await frozen.execute(lock)
        async with database.transaction() as other:
            await other.execute(lock)
        with pytest.raises(Unavailable), postgres_errors():
            await frozen.execute(text("SELECT 1"))
