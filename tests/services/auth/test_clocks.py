"""Replicas of auth whose clocks differ agree on what was issued before a revocation: by the clock of their database."""

import asyncio
import time
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace

import httpx
import jwt
import pytest
from sqlalchemy import text

from local.suite import Suite
from services.auth.entry.issuing import issuer
from services.auth.trust.access import revoker
from shared.identity import session_subject
from shared.postgres import Database
from tests.fixtures.identity import RegisterUser, service_headers
from tests.services.auth.tenancy import ME, MEMBERS, Join, refresh
from tests.services.auth.waiting import blocked

CHANGES = "/internal/access/changes"
LOWER = text("UPDATE membership SET role = 'viewer' WHERE tenant_id = :tenant_id AND user_id = :user_id")


class MinutesBehind(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) - timedelta(minutes=2)


async def test_a_token_of_a_replica_that_is_ahead_ends_with_the_others(
    client: httpx.AsyncClient, register_proved: RegisterUser, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await register_proved()
    with monkeypatch.context() as ahead:
        ahead.setattr(issuer, "time", SimpleNamespace(time=lambda: time.time() + 3))
        member = await join(owner, "member")
    assert (await client.get(ME, headers=member.headers)).status_code == 200

    await client.patch(f"{MEMBERS}/{member.user_id}", json={"role": "viewer"}, headers=owner.headers)

    assert (await client.get(ME, headers=member.headers)).status_code == 401


async def test_what_a_replica_that_is_behind_revokes_is_told_to_who_asks_for_what_is_new(
    client: httpx.AsyncClient, suite: Suite, register_proved: RegisterUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, service = await register_proved(), await service_headers(client, suite, "chat")
    as_of = (await client.get(CHANGES, headers=service)).json()["as_of"]
    monkeypatch.setattr(revoker, "datetime", MinutesBehind, raising=False)

    await client.post("/api/v1/auth/logout", headers=user.headers)

    told = (await client.get(CHANGES, params={"since": as_of}, headers=service)).json()["revocations"]
    session_id = jwt.decode(user.token, options={"verify_signature": False})["sid"]
    assert session_subject(session_id) in [one["subject"] for one in told]


async def test_a_token_that_waited_for_a_change_is_issued_after_it(
    client: httpx.AsyncClient, database: Database, register_proved: RegisterUser, join: Join
) -> None:
    member = await join(await register_proved(), "member")
    async with database.transaction() as lowering:
        await lowering.execute(LOWER, {"tenant_id": member.tenant_id, "user_id": member.user_id})
        refreshing = asyncio.create_task(refresh(client, member))
        await blocked(database)
        lowered_at: datetime = await lowering.scalar(text("SELECT clock_timestamp()"))

    token = (await refreshing).raise_for_status().json()["access_token"]
    issued_at = jwt.decode(token, options={"verify_signature": False})["iat"]
    assert datetime.fromtimestamp(issued_at, UTC) > lowered_at
