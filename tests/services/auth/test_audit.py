"""The audit log: one chain, which nobody can change without breaking it, and which administrators can read."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from local.suite import Suite
from services.auth.lifespan import MIGRATIONS
from services.auth.models import Tenant
from services.auth.trust.audit.actions import Action
from services.auth.trust.audit.entries import Noted
from services.auth.trust.audit.log import AuditLog
from services.auth.trust.audit.verification import verify
from services.auth.trust.scopes import Role
from shared.postgres import Database, open_database
from tests.fixtures.identity import register_with
from tests.services.auth.tampering import tamper
from tests.services.auth.waiting import blocked

AUDIT = "/api/v1/auth/audit"
FIELDS = {"number", "at", "action", "actor", "tenant_id", "target", "source", "trace_id", "details", "hash"}
LOG = AuditLog("k" * 32)


@pytest.fixture(scope="module")
async def own_database(suite: Suite) -> AsyncIterator[Database]:
    suite.up(["postgres"])
    async with open_database(suite.url("postgres"), f"audit_{secrets.token_hex(6)}", MIGRATIONS) as database:
        yield database


@pytest.fixture
async def database(own_database: Database) -> Database:
    """An empty log that no service writes."""
    await tamper(own_database, "TRUNCATE audit_entry RESTART IDENTITY")
    return own_database


async def append(database: Database, *details: dict[str, Any]) -> None:
    """One transaction with an entry for each of `details`."""
    async with database.transaction() as session:
        await LOG.append(session, [noted(one) for one in details])


def noted(details: dict[str, Any]) -> Noted:
    return Noted(Action.USER_ENABLED, "ada", None, "thing", "127.0.0.1", "0" * 32, details)


async def test_whatever_was_noted_verifies_as_it_was_stored(database: Database) -> None:
    odd: list[dict[str, Any]] = [
        {"fraction": 0.1, "huge": 1e300, "tiny": 5e-324, "minus": -0.0, "whole": 1e16},
        {"largest": 2**63 - 1, "nothing": None, "yes": True, "many": (1, 2), "role": Role.OWNER},
        {"at": datetime(2024, 1, 1, tzinfo=UTC), "z": {"b": [], "a": {}}, "é\u2028\U0001f600": "\\u0041"},
        {},
    ]

    await append(database, *odd)

    verdict = await verify(database, LOG)
    assert (verdict.is_good, verdict.entries) == (True, len(odd))


async def test_parallel_appends_give_one_unbroken_chain(database: Database) -> None:
    room = asyncio.Semaphore(20)  # connections; more would wait for one and not for each other

    async def append_pair(number: int) -> None:
        async with room:
            await append(database, {"n": number}, {"n": -number})

    await asyncio.gather(*(append_pair(number) for number in range(100)))

    verdict = await verify(database, LOG)

    assert (verdict.is_good, verdict.entries) == (True, 200)


async def test_an_entry_waits_for_others_rows_before_it_holds_up_the_log(database: Database) -> None:
    async with database.transaction() as session:
        session.add(Tenant(id="t", name="before", created_at=datetime.now(UTC)))
    async with database.session() as first, database.session() as second:
        (await first.get_one(Tenant, "t")).name = "first"
        await first.flush()
        (await second.get_one(Tenant, "t")).name = "second"
        waiting = asyncio.create_task(LOG.append(second, [noted({})]))
        await blocked(database)

        await LOG.append(first, [noted({})])
        await first.commit()
        await waiting
        await second.commit()

    assert (await verify(database, LOG)).entries == 2


# What is done to five entries, at which it shows, and how many before it are still good.
TAMPERED = {
    "another time": ("UPDATE audit_entry SET at = at + interval '1 microsecond' WHERE number = 3", 3, 2),
    "another action": ("UPDATE audit_entry SET action = 'x' WHERE number = 3", 3, 2),
    "another actor": ("UPDATE audit_entry SET actor = 'eve' WHERE number = 3", 3, 2),
    "a tenant": ("UPDATE audit_entry SET tenant_id = '' WHERE number = 3", 3, 2),
    "no target": ("UPDATE audit_entry SET target = NULL WHERE number = 3", 3, 2),
    "another source": ("UPDATE audit_entry SET source = '' WHERE number = 3", 3, 2),
    "another trace": ("UPDATE audit_entry SET trace_id = '' WHERE number = 3", 3, 2),
    "other details": ("UPDATE audit_entry SET details = '{\"n\": 7}' WHERE number = 3", 3, 2),
    "details we cannot have written": ("UPDATE audit_entry SET details = '{\"n\": 1e30}' WHERE number = 3", 3, 2),
    "another hash": ("UPDATE audit_entry SET hash = sha256('') WHERE number = 3", 3, 2),
    "one removed": ("DELETE FROM audit_entry WHERE number = 3", 4, 2),
    "the first removed": ("DELETE FROM audit_entry WHERE number = 1", 2, 0),
    "one inserted": (
        "INSERT INTO audit_entry (at, action, trace_id, details, hash)"
        " SELECT at, action, trace_id, details, hash FROM audit_entry WHERE number = 5",
        6,
        5,
    ),
    "one moved to the end": (
        "ALTER TABLE audit_entry ALTER number SET GENERATED BY DEFAULT;"
        "UPDATE audit_entry SET number = 9 WHERE number = 2;"
        "ALTER TABLE audit_entry ALTER number SET GENERATED ALWAYS",
        3,
        1,
    ),
}


@pytest.mark.parametrize(("statements", "place", "good"), TAMPERED.values(), ids=TAMPERED.keys())
async def test_a_changed_log_is_broken_at_that_place(
    database: Database, statements: str, place: int, good: int
) -> None:
    await append(database, *({"n": number} for number in range(5)))

    await tamper(database, *statements.split(";"))

    verdict = await verify(database, LOG)
    assert (verdict.is_good, verdict.broken_at, verdict.entries) == (False, place, good)


async def test_another_key_fits_no_entry(database: Database) -> None:
    await append(database, {})

    verdict = await verify(database, AuditLog("j" * 32))

    assert (verdict.is_good, verdict.broken_at) == (False, 1)


async def test_entries_cut_off_the_end_are_missed_by_whoever_noted_the_head(database: Database) -> None:
    await append(database, {"n": 1}, {"n": 2})
    noted_head = (await verify(database, LOG)).head
    await append(database, {"n": 3})
    grown = await verify(database, LOG, noted_head)

    await tamper(database, "DELETE FROM audit_entry WHERE number > 1")

    cut = await verify(database, LOG)
    assert grown.is_good
    assert (cut.is_good, cut.entries) == (True, 1)
    assert (await verify(database, LOG, noted_head)).is_head_missing


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entry SET actor = NULL", "DELETE FROM audit_entry", "TRUNCATE audit_entry"]
)
async def test_the_database_refuses_to_change_an_entry(database: Database, statement: str) -> None:
    await append(database, {})

    with pytest.raises(DBAPIError, match="audit entries never change"):
        async with database.transaction() as session:
            await session.execute(text(statement))

    assert (await verify(database, LOG)).entries == 1


async def test_administrators_read_who_did_what(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user = await register_with(client)()

    answer = await client.get(AUDIT, params={"actor": user.user_id}, headers=admin)

    login, registration = answer.json()["items"]
    assert (registration["action"], registration["target"]) == ("user.registered", user.user_id)
    assert (login["action"], login["tenant_id"]) == ("login.succeeded", user.tenant_id)
    assert login["number"] > registration["number"]
    assert len(bytes.fromhex(login["hash"])) == 32
    assert login.keys() == FIELDS


async def test_every_filter_narrows(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user = await register_with(client)()
    mine = {"actor": user.user_id}
    at = (await client.get(AUDIT, params=mine | {"action": "login"}, headers=admin)).json()["items"][0]["at"]
    later = "2999-01-01T00:00:00Z"

    async def actions(**filters: str) -> list[str]:
        answer = await client.get(AUDIT, params=mine | filters, headers=admin)
        return [item["action"] for item in answer.raise_for_status().json()["items"]]

    both = ["login.succeeded", "user.registered"]
    assert await actions(action="login") == await actions(action="login.succeeded") == both[:1]
    assert await actions(action="log") == await actions(action="login_") == []
    assert await actions(tenant_id=user.tenant_id) == both
    assert await actions(target=user.user_id) == both[1:]
    assert await actions(since=at, until=later) == both[:1]
    assert await actions(until=at) == both[1:]
    assert await actions(since=later) == []


async def test_pages_hold_every_entry_once(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    user = await register_with(client)()
    form = {"grant_type": "password", "username": user.email, "password": user.password}
    for _ in range(3):
        (await client.post("/api/v1/auth/token", data=form)).raise_for_status()

    numbers: list[int] = []
    params: dict[str, Any] = {"actor": user.user_id, "limit": 2}
    while True:
        page = (await client.get(AUDIT, params=params, headers=admin)).json()
        numbers += [item["number"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]

    assert len(numbers) == 5
    assert numbers == sorted(set(numbers), reverse=True)


async def test_a_cursor_of_other_filters_is_refused(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    cursor = (await client.get(AUDIT, params={"action": "user", "limit": 1}, headers=admin)).json()["next_cursor"]

    answer = await client.get(AUDIT, params={"action": "login", "cursor": cursor}, headers=admin)

    assert cursor
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "query/cursor")


@pytest.mark.parametrize(
    "params",
    [
        {"action": "Login"},
        {"action": "login.%"},
        {"actor": "\x00"},
        {"tenant_id": "x"},
        {"since": "2024-01-01T00:00:00"},
        {"until": "0001-01-01T00:00:00+14:00"},
    ],
)
async def test_a_bad_filter_is_422(client: httpx.AsyncClient, admin: dict[str, str], params: dict[str, str]) -> None:
    answer = await client.get(AUDIT, params=params, headers=admin)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"query/{next(iter(params))}"


async def test_only_administrators_read_the_log(client: httpx.AsyncClient) -> None:
    user = await register_with(client)()

    answer = await client.get(AUDIT, headers=user.headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "common.missing_scope")
