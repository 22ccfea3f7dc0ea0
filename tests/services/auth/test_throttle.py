"""How guessing is held off: what is counted, and how long further tries wait."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.auth.people.passwords.throttle import Counted, Throttle, by_account, by_source
from shared.postgres import Database

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


def somebody() -> Counted:
    return by_account(secrets.token_hex(8))


def somewhere() -> Counted:
    return by_source(secrets.token_hex(8))


async def admit(database: Database, *counted: Counted, at: datetime = BEGIN) -> bool:
    async with database.statements() as session:
        return await Throttle(session, lambda: at).admit(counted)


async def succeed(database: Database, account: Counted, source: Counted) -> None:
    async with database.statements() as session:
        await Throttle(session).succeed(account, source)


async def tries(database: Database, counted: Sequence[Counted], times: int) -> int:
    """How many of so many at once may be tried."""
    return sum(await asyncio.gather(*(admit(database, *counted) for _ in range(times))))


async def wait(database: Database, counted: Counted, since: datetime) -> timedelta:
    """How long the next try has to wait, to the second."""
    for seconds in range(2_000):
        if await admit(database, counted, at=since + timedelta(seconds=seconds)):
            return timedelta(seconds=seconds)
    raise AssertionError("it never ends")


async def test_each_failure_beyond_the_free_ones_doubles_the_wait_up_to_a_quarter_of_an_hour(
    database: Database,
) -> None:
    account, at, waits = Counted(secrets.token_bytes(32), free_failures=5), BEGIN, []
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
    for _ in range(101):
        await admit(database, somebody(), blocked)

    assert await tries(database, [account, blocked], 20) == 0
    assert await tries(database, [account, somewhere()], 10) == 10


async def test_a_right_password_begins_the_account_anew_and_gives_the_source_back_what_it_cost(
    database: Database,
) -> None:
    account, source = somebody(), somewhere()
    for _ in range(300):
        assert await admit(database, account, source)
        await succeed(database, account, source)

    assert await tries(database, [account, source], 10) == 10


async def test_failures_are_forgotten_after_a_day(database: Database) -> None:
    account = somebody()
    await tries(database, [account], 10)

    later = BEGIN + timedelta(hours=24, seconds=1)

    assert [await admit(database, account, at=later) for _ in range(11)] == [True] * 10 + [False]


def test_accounts_and_sources_are_counted_apart_and_named_by_a_hash() -> None:
    account, source = by_account("192.0.2.1"), by_source("192.0.2.1")

    assert account.key != source.key
    assert b"192.0.2.1" not in account.key + source.key
