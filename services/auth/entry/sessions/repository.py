"""Every statement about sessions and their refresh tokens."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Interval, Select, bindparam, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.auth.models import LoginSession, RefreshToken
from shared.schemas import new_id

MOST_ALIVE: Final = 1000
"""Sessions of one user at once: a change of their password ends them all in one transaction. No person has so many."""
_MOST_GIVE_WAY = 100  # at one login; more than a few there are only beside an earlier release

# One round trip: every login makes one. What is in use at this moment (its row is held) does not give way, so nothing
# is waited for; of logins side by side each may leave one too many, which the next one ends.
_CREATE = text("""
    WITH alive AS (
        SELECT id FROM login_session WHERE user_id = :user_id AND ended_at IS NULL AND expires_at > :now
    ), surplus AS (
        SELECT alive.id FROM alive CROSS JOIN LATERAL (
            SELECT max(created_at) AS at FROM refresh_token WHERE session_id = alive.id
        ) AS used
        ORDER BY used.at NULLS FIRST
        LIMIT greatest(0, least((SELECT count(*) FROM alive) + 1 - :most, :most_give_way))
    ), free AS (
        SELECT id FROM login_session WHERE id IN (SELECT id FROM surplus) AND ended_at IS NULL
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        UPDATE login_session SET ended_at = :now WHERE id IN (SELECT id FROM free) RETURNING id, tenant_id
    ), made AS (
        INSERT INTO login_session (id, user_id, tenant_id, scope, created_at, expires_at)
        VALUES (:session_id, :user_id, :tenant_id, :scope, :now, :expires_at) RETURNING id, created_at
    ), first AS (
        INSERT INTO refresh_token (id, session_id, token_hash, created_at)
        SELECT :token_id, made.id, CAST(:token_hash AS bytea), made.created_at FROM made
    )
    SELECT id, tenant_id FROM gone
""")

_LINK = (
    select(RefreshToken, LoginSession)
    .join(LoginSession, LoginSession.id == RefreshToken.session_id)
    .where(RefreshToken.token_hash == bindparam("token_hash"))
)
_LINK_HELD = _LINK.with_for_update(read=True, of=LoginSession)
_LINK_LOCKED = _LINK.with_for_update(of=LoginSession)

_USE = (
    update(RefreshToken)
    .where(
        RefreshToken.id == bindparam("token_id"), RefreshToken.used_at.is_(None), RefreshToken.superseded_at.is_(None)
    )
    .values(used_at=func.clock_timestamp())
    .returning(RefreshToken.id)
    .execution_options(synchronize_session=False)
)

_PARENT = aliased(RefreshToken)
_UNUSED_CHILD = (
    select(RefreshToken.id, RefreshToken.token_hash)
    .join(_PARENT, _PARENT.id == RefreshToken.parent_id)
    .where(
        _PARENT.id == bindparam("token_id"),
        _PARENT.used_at > func.clock_timestamp() - bindparam("used_within", type_=Interval),
        RefreshToken.used_at.is_(None),
        RefreshToken.superseded_at.is_(None),
    )
)


@dataclass(frozen=True, slots=True)
class Begun:
    """A new session: its id, its first refresh token, and the ids and tenants of the user's that gave way to it."""

    id: str
    refresh_token: str
    gave_way: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Link:
    """A refresh token that was presented, with its session."""

    token: RefreshToken
    session: LoginSession

    @property
    def is_alive(self) -> bool:
        """Whether its session goes on."""
        return self.session.ended_at is None and self.session.expires_at > datetime.now(UTC)

    @property
    def is_usable(self) -> bool:
        """Whether its session goes on with this very token."""
        return self.is_alive and not self.token.used_at and not self.token.superseded_at


@dataclass(frozen=True, slots=True)
class Child:
    """A successor that waits to be used."""

    id: str
    token_hash: bytes

    def is_kept_as(self, token: str) -> bool:
        """Whether this is `token`."""
        return hmac.compare_digest(self.token_hash, _digest(token))


class SessionRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(self, *, user_id: str, tenant_id: str, scope: str, seconds: int) -> Begun:
        """A new session. Of `MOST_ALIVE` that the user has, the longest unused ends."""
        now, session_id, token = datetime.now(UTC), new_id(), _new_token()
        values = {
            "session_id": session_id,
            "user_id": user_id,
            "tenant_id": tenant_id,
            "scope": scope,
            "now": now,
            "expires_at": now + timedelta(seconds=seconds),
            "token_id": new_id(),
            "token_hash": _digest(token),
            "most": MOST_ALIVE,
            "most_give_way": _MOST_GIVE_WAY,
        }
        gone = (await self._session.execute(_CREATE, values)).all()
        return Begun(session_id, token, [(row.id, row.tenant_id) for row in gone])

    def add_successor(self, parent: RefreshToken, successor_id: str, token: str) -> None:
        """The next link of the chain; it is kept only as a hash."""
        self._session.add(
            RefreshToken(
                id=successor_id,
                session_id=parent.session_id,
                parent_id=parent.id,
                token_hash=_digest(token),
                created_at=datetime.now(UTC),
            )
        )

    async def find(self, token: str) -> Link | None:
        """The token and its session; None for one that was never given out."""
        return await self._find(_LINK, token)

    async def find_held(self, token: str) -> Link | None:
        """As `find`, for going on with it: nobody ends the session until the transaction ends, others go on as well."""
        return await self._find(_LINK_HELD, token)

    async def find_alive(self, tenant_id: str, user_id: str, session_id: str) -> LoginSession | None:
        """The user's session, while it goes on."""
        return await self._session.scalar(_alive(tenant_id, user_id, session_id))

    async def hold_alive(self, tenant_id: str, user_id: str, session_id: str) -> bool:
        """Whether it goes on; then nobody ends it until the transaction ends."""
        held = _alive(tenant_id, user_id, session_id).with_for_update(read=True)
        return await self._session.scalar(held) is not None

    async def find_locked(self, token: str) -> Link | None:
        """As `find`, for changing it: nobody else changes the session until the transaction ends."""
        return await self._find(_LINK_LOCKED, token)

    async def _find(self, statement: Select[RefreshToken, LoginSession], token: str) -> Link | None:
        row = (await self._session.execute(statement, {"token_hash": _digest(token)})).one_or_none()
        return Link(row[0], row[1]) if row else None

    async def use(self, token: RefreshToken) -> bool:
        """Take a token out of use: of many at once exactly one succeeds, and the others wait for it.

        The time is the database's: replicas whose clocks differ agree on it.
        """
        return await self._session.scalar(_USE, {"token_id": token.id}) is not None

    async def find_unused_child(self, parent: RefreshToken, *, used_within: timedelta) -> Child | None:
        """The successor of a parent that was used a moment ago, while it waits to be used itself.

        As it is now, whatever was read of the parent before.
        """
        given = {"token_id": parent.id, "used_within": used_within}
        row = (await self._session.execute(_UNUSED_CHILD, given)).one_or_none()
        return Child(*row) if row else None

    async def end(self, session_id: str) -> bool:
        """End a session; whether it was still going on."""
        ended = await self._session.scalar(
            update(LoginSession)
            .where(LoginSession.id == session_id, LoginSession.ended_at.is_(None))
            .values(ended_at=datetime.now(UTC))
            .returning(LoginSession.id)
        )
        return ended is not None

    async def end_others(self, user_id: str, kept_session_id: str | None) -> Sequence[str]:
        """End every session of the user but one; returns the ids of those that ended."""
        statement = (
            update(LoginSession)
            .where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None))
            .values(ended_at=datetime.now(UTC))
            .returning(LoginSession.id)
        )
        if kept_session_id:
            statement = statement.where(LoginSession.id != kept_session_id)
        return (await self._session.scalars(statement)).all()

    async def end_in_tenant(self, tenant_id: str, user_id: str) -> None:
        """End every session of the user in this tenant."""
        await self._session.execute(
            update(LoginSession)
            .where(
                LoginSession.user_id == user_id, LoginSession.tenant_id == tenant_id, LoginSession.ended_at.is_(None)
            )
            .values(ended_at=datetime.now(UTC))
        )

    async def delete_expired(self, limit: int) -> bool:
        """Forget up to `limit` that can never be used again; whether there may be more."""
        over = select(LoginSession.id).where(LoginSession.expires_at <= datetime.now(UTC)).limit(limit)
        free = over.with_for_update(skip_locked=True).cte("free")  # and leave the others to another replica
        gone = delete(LoginSession).where(LoginSession.id.in_(select(free.c.id))).returning(LoginSession.id)
        found = await self._session.scalars(gone.execution_options(synchronize_session=False))
        return len(found.all()) == limit


def _alive(tenant_id: str, user_id: str, session_id: str) -> Select[LoginSession]:
    return select(LoginSession).where(
        LoginSession.id == session_id,
        LoginSession.user_id == user_id,
        LoginSession.tenant_id == tenant_id,
        LoginSession.ended_at.is_(None),
        LoginSession.expires_at > datetime.now(UTC),
    )


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _digest(token: str) -> bytes:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).digest()
