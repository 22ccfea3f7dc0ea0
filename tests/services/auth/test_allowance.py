"""How many letters an address is sent within an hour."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.people.letters.allowance import ASKED_FOR, ASKED_FOR_BY_ONE, NOTICES, Allowance, Kind
from shared.postgres import Database


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.statements() as session:
        yield session


@pytest.fixture
def email() -> str:
    return f"{secrets.token_hex(8)}@example.com"


async def taken(session: AsyncSession, kind: Kind, email: str, sources: list[str | None]) -> int:
    return sum([await Allowance(session).take(kind, email, source) for source in sources])


async def test_one_source_has_a_share_and_all_have_a_bound(session: AsyncSession, email: str) -> None:
    one = await taken(session, Kind.PROOF, email, ["192.0.2.1"] * 10)
    others = await taken(session, Kind.PROOF, email, [f"192.0.2.{number}" for number in range(2, 20)])

    assert (one, one + others) == (ASKED_FOR_BY_ONE, ASKED_FOR)


async def test_what_strangers_ask_for_leaves_the_owner_theirs(session: AsyncSession, email: str) -> None:
    for kind in (Kind.PROOF, Kind.PASSWORD):
        await taken(session, kind, email, [f"192.0.2.{number}" for number in range(20)])

    assert await taken(session, Kind.NOTICE, email, [None] * 30) == NOTICES


async def test_kinds_and_addresses_are_counted_apart(session: AsyncSession, email: str) -> None:
    await taken(session, Kind.PROOF, email, [f"192.0.2.{number}" for number in range(20)])

    assert await taken(session, Kind.PASSWORD, email, ["192.0.2.1"]) == 1
    assert await taken(session, Kind.PROOF, f"x{email}", ["192.0.2.1"]) == 1


async def test_after_an_hour_it_begins_anew(session: AsyncSession, email: str) -> None:
    await taken(session, Kind.NOTICE, email, [None] * NOTICES)
    await session.execute(text("UPDATE letter_count SET began_at = began_at - interval '3601 s'"))

    assert await taken(session, Kind.NOTICE, email, [None] * (NOTICES + 1)) == NOTICES


async def test_many_at_once_are_sent_no_more(database: Database, email: str) -> None:
    async def take(number: int) -> bool:
        async with database.statements() as session:
            return await Allowance(session).take(Kind.PASSWORD, email, f"192.0.2.{number}")

    assert sum(await asyncio.gather(*(take(number) for number in range(12)))) == ASKED_FOR
