"""How guessing is held off: what is counted, and how long further tries wait."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from services.auth.people.passwords.throttle import Admission, Counted, Throttle, by_account, by_source
from shared.postgres import Database
from tests.services.auth.waiting import blocked

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


def somebody() -> Counted:
    return by_account(secrets.token_hex(8))


def somewhere() -> Counted:
    return by_source(secrets.token_hex(8))


async def admit(database: Database, *counted: Counted, at: datetime = BEGIN) -> bool:
    return (await judged(database, *counted, at=at)).is_admitted


async def judged(database: Database, *counted: Counted, at: datetime = BEGIN) -> Admission:
    async with database.statements() as session:
        return await Throttle(session, lambda: at).admit(*counted)


async def log_in(database: Database, account: Counted, source: Counted, at: datetime = BEGIN) -> Admission:
    """An attempt whose password is right, where it may be tried."""
    admission = await judged(database, account, source, at=at)
    if admission.is_admitted:
        async with database.statements() as session:
            await Throttle(session, lambda: at).succeed(account, source, admission)
    return admission


async def spray(database: Database, source: Counted, at: datetime = BEGIN) -> None:
    """As many failures as a source may have and one more, each with another account."""
    for _ in range(source.free_failures + 1):
        assert await admit(database, somebody(), source, at=at)


async def tries(database: Database, counted: Sequence[Counted], times: int) -> int:
    """How many of so many at once may be tried."""
    room = asyncio.Semaphore(20)  # connections; more would wait for one and not for each other

    async def tried() -> bool:
        async with room:
            return await admit(database, *counted)

    return sum(await asyncio.gather(*(tried() for _ in range(times))))


async def wait(database: Database, counted: Counted, since: datetime) -> timedelta:
    """How long the next try has to wait, to the second."""
    for seconds in range(2_000):
        if await admit(database, counted, at=since + timedelta(seconds=seconds)):
            return timedelta(seconds=seconds)
    raise AssertionError("it never ends")


@pytest.mark.timeout(300)  # thousands of statements, one after the other
async def test_each_failure_beyond_the_free_ones_doubles_the_wait_up_to_a_quarter_of_an_hour(
    database: Database,
) -> None:
    account, at, waits = Counted(secrets.token_bytes(32), 5, runs_out_in_seconds=3600), BEGIN, []
    for _ in range(13):
        waits.append(await wait(database, account, at))
        at += waits[-1]

    assert [each.seconds for each in waits] == [0] * 6 + [30, 60, 120, 240, 480, 900, 900]


async def test_many_at_once_get_no_more_tries_than_one_after_the_other(database: Database) -> None:
    account = somebody()

    assert await tries(database, [account, somewhere()], 30) == account.free_failures + 1
    assert await tries(database, [account, somewhere()], 5) == 0


async def test_what_an_account_refuses_does_not_count_against_the_source(database: Database) -> None:
    locked, source = somebody(), somewhere()
    await tries(database, [locked], 10)

    assert await tries(database, [locked, source], 200) == 0
    assert await admit(database, somebody(), source)


async def test_what_a_source_refuses_does_not_count_against_the_account(database: Database) -> None:
    account, blocked = somebody(), somewhere()
    await spray(database, blocked)

    assert await tries(database, [account, blocked], 20) == 0
    assert await tries(database, [account, somewhere()], 10) == 10


async def test_a_right_password_begins_the_account_anew_and_gives_the_source_back_what_it_cost(
    database: Database,
) -> None:
    account, source = somebody(), somewhere()
    for _ in range(300):
        assert (await log_in(database, account, source)).is_admitted

    assert await tries(database, [account, source], 10) == 10


async def test_failures_are_forgotten_after_a_day(database: Database) -> None:
    account = somebody()
    await tries(database, [account], 10)

    later = BEGIN + timedelta(hours=24, seconds=1)

    assert [await admit(database, account, at=later) for _ in range(11)] == [True] * 10 + [False]


async def test_a_failure_runs_out_an_hour_later_for_an_account_and_two_minutes_later_for_a_source(
    database: Database,
) -> None:
    account, source = somebody(), somewhere()
    await tries(database, [account], 9)
    for _ in range(100):
        await admit(database, somebody(), source)

    an_hour, two_minutes = BEGIN + timedelta(hours=1, seconds=1), BEGIN + timedelta(seconds=121)

    assert [await admit(database, account, at=an_hour) for _ in range(3)] == [True, True, False]
    assert [await admit(database, somebody(), source, at=two_minutes) for _ in range(3)] == [True, True, False]


async def test_whoever_mistypes_now_and_then_holds_nobody_off_for_long(database: Database) -> None:
    """After an attack somebody at the source is wrong every five minutes, and everybody else is right."""
    source, at, refused = somewhere(), BEGIN, 0
    await spray(database, source)
    for _ in range(12):
        at += timedelta(minutes=5)
        assert await admit(database, somebody(), source, at=at)
        refused += not (await log_in(database, somebody(), source, at=at + timedelta(seconds=1))).is_admitted

    assert refused == 0


async def test_whoever_keeps_attacking_has_few_tries_an_hour_and_a_quarter_of_an_hour_later_all_is_well(
    database: Database,
) -> None:
    source, at, tried = somewhere(), BEGIN, 0
    while at < BEGIN + timedelta(hours=12):
        admission = await judged(database, somebody(), source, at=at)
        tried += admission.is_admitted
        at += timedelta(seconds=admission.source_waits_seconds or 0)

    later = at + timedelta(minutes=16)

    assert tried <= 110 + 30 * 12
    assert [await admit(database, somebody(), source, at=later) for _ in range(2)] == [True, True]


async def test_whoever_logged_in_there_before_is_let_in_where_a_source_is_held_off(database: Database) -> None:
    known, stranger, source = somebody(), somebody(), somewhere()
    await log_in(database, known, source)
    await spray(database, source)

    of_known, of_stranger = await log_in(database, known, source), await log_in(database, stranger, source)

    assert (of_known.is_admitted, of_stranger.is_admitted) == (True, False)
    assert of_known.source_waits_seconds == of_stranger.source_waits_seconds == 30


async def test_an_account_known_at_a_source_is_held_off_itself_and_changes_nothing_for_the_others(
    database: Database,
) -> None:
    known, source = somebody(), somewhere()
    await log_in(database, known, source)
    await spray(database, source)

    assert await tries(database, [known, source], 30) == known.free_failures + 1
    assert (await judged(database, somebody(), source)).source_waits_seconds == 30


async def test_attempts_that_do_not_see_the_same_rows_do_not_wait_for_each_other(database: Database) -> None:
    """One began before the row of the account there was made, and the next after it."""
    source, admission = somewhere(), None
    while admission is None or admission.by.key > source.key:
        known = somebody()
        await log_in(database, known, source)
        admission = await judged(database, known, source)
    row, makes = {"key": admission.by.key}, text("INSERT INTO login_throttle VALUES (:key, 1, now())")
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM login_throttle WHERE key = :key"), row)

    async with asyncio.TaskGroup() as group, database.transaction() as session:
        await session.execute(text("SELECT FROM login_throttle WHERE key = :key FOR UPDATE"), {"key": source.key})
        group.create_task(admit(database, known, source))
        await blocked(database)
        async with database.statements() as other:
            await other.execute(makes, row)
        group.create_task(admit(database, known, source))
        await blocked(database, statements=2)


async def test_a_login_where_a_source_is_held_off_does_not_end_its_wait(database: Database) -> None:
    known, source = somebody(), somewhere()
    await log_in(database, known, source)
    await spray(database, source)

    await log_in(database, known, source)

    assert not await admit(database, somebody(), source)


async def test_an_account_known_at_one_source_is_unknown_at_another(database: Database) -> None:
    account, home, elsewhere = somebody(), somewhere(), somewhere()
    await log_in(database, account, home)
    await spray(database, elsewhere)

    assert not await admit(database, account, elsewhere)


async def test_an_account_is_known_at_the_ten_sources_of_its_latest_logins(database: Database) -> None:
    account, sources = somebody(), [somewhere() for _ in range(13)]
    visits = [*sources[:12], sources[2], sources[12]]  # once more at the third, before it would have been forgotten
    for number, source in enumerate(visits):
        await log_in(database, account, source, at=BEGIN + timedelta(hours=2 * number))

    async with database.session() as session:
        found = await session.scalars(
            text("SELECT source FROM known_login_source WHERE account = :account"), {"account": account.key}
        )
        kept = set(found)

    assert kept == {source.key for source in (sources[2], *sources[4:])}


async def test_an_account_is_known_for_ninety_days_after_its_last_login_there(database: Database) -> None:
    account, early, late = somebody(), somewhere(), somewhere()
    for source, days in ((early, 0), (late, 0), (late, 60)):
        await log_in(database, account, source, at=BEGIN + timedelta(days=days))

    at = BEGIN + timedelta(days=91)
    async with database.transaction() as session:
        await Throttle(session, lambda: at).delete_old()
    for source in (early, late):
        await spray(database, source, at=at)

    assert [await admit(database, account, source, at=at) for source in (early, late)] == [False, True]


def test_accounts_and_sources_are_counted_apart_and_named_by_a_hash() -> None:
    account, source = by_account("192.0.2.1"), by_source("192.0.2.1")

    assert account.key != source.key
    assert b"192.0.2.1" not in account.key + source.key
