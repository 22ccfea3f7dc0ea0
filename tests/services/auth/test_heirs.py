"""What was begun with a key goes on under what it was rotated to, for one look however often that was."""

import secrets
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import TextClause, event, text

from local.suite import Suite
from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.lifespan import MIGRATIONS
from services.auth.people.accounts.domain import NewAccount
from services.auth.people.accounts.repository import AccountRepository
from shared.postgres import Database, open_database

ROTATIONS = 40
LINE = text("""
    INSERT INTO api_key
        (id, tenant_id, user_id, name, public_id, secret_hash, scopes, created_at, expires_at, replaced_by)
    SELECT 'key' || number, :tenant_id, :user_id, 'key', 'public' || number, '', '{agents:read}', now(),
        CASE WHEN number < :last THEN now() - interval '1 hour' END,
        CASE WHEN number < :last THEN 'key' || (number + 1) END
    FROM generate_series(0, :last) AS number
""")


@pytest.fixture
async def database(suite: Suite) -> AsyncIterator[Database]:
    suite.up(["postgres"])
    async with open_database(suite.url("postgres"), f"heirs_{secrets.token_hex(6)}", MIGRATIONS) as database:
        yield database


@pytest.fixture
async def owner(database: Database) -> NewAccount:
    """Of a line of keys, of which the last is alive."""
    account = NewAccount.drafted("key@example.com", None)
    async with database.transaction() as session:
        await AccountRepository(session).create(account, "hash", is_proved=True)
        await session.execute(LINE, {"tenant_id": account.tenant_id, "user_id": account.id, "last": ROTATIONS})
    return account


async def heir(database: Database, owner: NewAccount, key_id: str) -> str | None:
    async with database.session() as session:
        found = await ApiKeyRepository(session).find_heir(owner.tenant_id, owner.id, key_id)
    return found.id if found else None


async def test_the_last_of_a_long_line_is_found_with_one_statement(database: Database, owner: NewAccount) -> None:
    asked: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *of: asked.append(of[2]))

    found = [await heir(database, owner, key_id) for key_id in ("key0", f"key{ROTATIONS}")]

    assert found == [f"key{ROTATIONS}"] * 2
    assert len(asked) == 2


REVOKED = text("UPDATE api_key SET revoked_at = now() WHERE id = 'key20'")
ENDED = text("UPDATE api_key SET replaced_by = NULL WHERE id = 'key20'")


@pytest.mark.parametrize("change", [REVOKED, ENDED], ids=["revoked", "ended"])
async def test_nothing_goes_on_past_one_that_ended(database: Database, owner: NewAccount, change: TextClause) -> None:
    async with database.transaction() as session:
        await session.execute(change)

    assert [await heir(database, owner, key_id) for key_id in ("key0", "key20", "key21")] == [
        None,
        None,
        f"key{ROTATIONS}",
    ]


async def test_what_another_holds_is_no_heir(database: Database, owner: NewAccount) -> None:
    other = NewAccount.drafted("other@example.com", None)

    assert await heir(database, other, "key0") is None
