"""What is written later than it happened is written once, and nothing of it is lost by who else writes, or stops."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from local.suite import Suite
from services.auth.entry.api_keys.last_used import LastUsed
from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.lifespan import MIGRATIONS
from services.auth.models import OutboxRow
from services.auth.people.accounts.domain import NewAccount
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust import work
from services.auth.trust.audit.actions import Action
from services.auth.trust.audit.log import AuditLog
from services.auth.trust.work import Works
from shared.ending import end
from shared.errors import Unavailable
from shared.identity import Revocations
from shared.postgres import Database, Outbox, open_database
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.services.auth.waiting import blocked


@pytest.fixture
async def database(suite: Suite) -> AsyncIterator[Database]:
    suite.up(["postgres"])
    async with open_database(suite.url("postgres"), f"later_{secrets.token_hex(6)}", MIGRATIONS) as database:
        yield database


async def test_two_that_write_side_by_side_lose_nothing(database: Database) -> None:
    works = Works(database, AuditLog("k" * 32), Outbox(OutboxRow), Revocations())
    targets = [f"user-{number:02}" for number in range(20)]
    for target in targets:
        works.note_later(Action.LOGIN_REFUSED, source="192.0.2.1", target=target, tenant_id="tenant")

    await asyncio.gather(works.write_later(), works.write_later())

    await works.audit.repeats.write(database)
    async with database.session() as session:
        entries = (await session.scalars(text("SELECT target FROM audit_entry ORDER BY target"))).all()
        repeated = await session.scalar(text("SELECT sum(repeated) FROM audit_window"))
    assert entries == targets
    assert repeated == 0


async def test_who_notes_waits_for_no_more_than_one_turn_of_a_log_that_hangs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_NOTE_WAIT_SECONDS", 0.1)
    works = Works(database, AuditLog("k" * 32), Outbox(OutboxRow), Revocations())
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with AsyncExitStack() as hanging:
            for _ in range(work._NOTING):
                await hanging.enter_async_context(works._turn_to_note())
            with pytest.raises(Unavailable):
                await works.note(Action.USER_READ, target="beyond")

        await works.note(Action.USER_READ, target="after")

    async with database.session() as session:
        assert (await session.scalars(text("SELECT target FROM audit_entry"))).all() == ["after"]


async def test_a_stop_in_the_midst_keeps_when_keys_were_used(database: Database) -> None:
    account = NewAccount.drafted("key@example.com", None)
    async with database.transaction() as session:
        await AccountRepository(session).create(account, "hash", is_proved=True)
        key = await ApiKeyRepository(session).create(
            tenant_id=account.tenant_id,
            user_id=account.id,
            name="key",
            scopes=frozenset({"agents:read"}),
            expires_at=None,
            public_id="public",
            secret_hash=b"hash",
        )
    last_used = LastUsed(database)
    last_used.note(key.id)
    noted_at = datetime.now(UTC)

    async with database.session() as holder:
        await holder.execute(text("SELECT FROM api_key FOR UPDATE"))
        writing = asyncio.create_task(last_used.write())
        await blocked(database)
        await end(writing)
    await last_used.write()

    async with database.session() as session:
        found = await ApiKeyRepository(session).find_by_public_id("public")
    assert found is not None
    assert found.last_used_at is not None
    assert found.last_used_at <= noted_at


async def test_what_was_seen_later_stays_whoever_writes_last(database: Database) -> None:
    _, [key_id] = await keys_made(database, 1)
    seen = datetime(2026, 1, 1, 12, tzinfo=UTC)

    for at in (seen, seen - timedelta(minutes=5)):
        async with database.transaction() as session:
            await ApiKeyRepository(session).mark_used({key_id: at})

    async with database.session() as session:
        assert await session.scalar(text("SELECT last_used_at FROM api_key")) == seen


async def test_who_revokes_all_keys_waits_for_who_writes_when_they_were_used(database: Database) -> None:
    user_id, key_ids = await keys_made(database, 2)
    async with database.transaction() as session:  # so that a scan comes to the second one first
        await ApiKeyRepository(session).mark_used({key_ids[0]: datetime.now(UTC)})
    async with database.session() as using:
        await ApiKeyRepository(using).mark_used({key_ids[0]: datetime.now(UTC)})
        revoking = asyncio.create_task(revoke_all(database, user_id))
        await blocked(database)
        await ApiKeyRepository(using).mark_used({key_ids[1]: datetime.now(UTC)})
        await using.commit()

    assert sorted(await revoking) == key_ids


async def keys_made(database: Database, count: int) -> tuple[str, list[str]]:
    """A user and the ids of so many keys of theirs, in their order."""
    account = NewAccount.drafted("key@example.com", None)
    async with database.transaction() as session:
        await AccountRepository(session).create(account, "hash", is_proved=True)
        keys = [
            await ApiKeyRepository(session).create(
                tenant_id=account.tenant_id,
                user_id=account.id,
                name="key",
                scopes=frozenset({"agents:read"}),
                expires_at=None,
                public_id=f"public{number}",
                secret_hash=b"hash",
            )
            for number in range(count)
        ]
    return account.id, sorted(key.id for key in keys)


async def revoke_all(database: Database, user_id: str) -> Sequence[str]:
    async with database.transaction() as session:
        return await ApiKeyRepository(session).revoke_all_of(user_id)
