"""Holds off guessing: failed logins are counted per account and per source, and each costs a longer wait.

An attempt is counted before its password is looked at and given back when it was right, so that many at once get no
more tries than one after the other. Counted in PostgreSQL, so that it holds over all replicas and without Redis.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import LoginThrottle

Clock = Callable[[], datetime]
# Long enough from the start that an eager script has no second try while a person would still be typing.
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)
_FORGOTTEN_AFTER = timedelta(hours=24)

# All rows or none: what one of them refuses does not count against the other. Rows are locked in the order of their
# keys, or two logins could wait for each other. Beyond what is free each failure doubles the wait.
_ADMIT = text("""
    WITH given AS (
        SELECT * FROM unnest(CAST(:keys AS bytea[]), CAST(:free AS integer[])) AS one (key, free)
    ), held AS (
        SELECT key, blocked_until FROM login_throttle WHERE key IN (SELECT key FROM given) ORDER BY key FOR UPDATE
    ), verdict AS (
        SELECT coalesce(bool_and(blocked_until IS NULL OR blocked_until <= :at), true) AS is_free FROM held
    )
    INSERT INTO login_throttle AS counted (key, failures, last_failed_at)
    SELECT key, 1, CAST(:at AS timestamptz) FROM given, verdict WHERE is_free ORDER BY key
    ON CONFLICT (key) DO UPDATE SET (failures, last_failed_at, blocked_until) = (
        SELECT failed, :at,
            CASE WHEN failed > free
                THEN :at + least(:longest, CAST(:first AS interval) * 2.0 ^ least(failed - free - 1, 10)) END
        FROM (
            SELECT free, CASE WHEN counted.last_failed_at < :forgotten THEN 1 ELSE counted.failures + 1 END AS failed
            FROM given WHERE given.key = counted.key
        ) AS next
    )
    RETURNING key IN (SELECT key FROM held), failures, (SELECT free FROM given WHERE given.key = counted.key)
""")
_SUCCEED = text("""
    WITH held AS (
        SELECT key FROM login_throttle WHERE key IN (:account, :source) AND failures > 0 ORDER BY key FOR UPDATE
    )
    UPDATE login_throttle AS counted
    SET failures = CASE WHEN counted.key = :account THEN 0 ELSE counted.failures - 1 END, blocked_until = NULL
    FROM held WHERE counted.key = held.key
""")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Counted:
    """What failures are counted by, and how many cost nothing."""

    key: bytes
    free_failures: int


def by_account(email: str) -> Counted:
    """By the address as typed, known or not: a wait must not tell which addresses have an account."""
    return Counted(hashlib.sha256(b"account\0" + email.encode()).digest(), free_failures=9)


def by_source(address: str) -> Counted:
    """By where attempts come from; many people may share one address, so it takes more of them."""
    return Counted(hashlib.sha256(b"source\0" + address.encode()).digest(), free_failures=100)


class Throttle:
    """The counts. Outside of a transaction each operation is one by itself, and holds its rows no longer."""

    def __init__(self, session: AsyncSession, clock: Clock = now) -> None:
        self._session, self._clock = session, clock

    async def admit(self, counted: Sequence[Counted]) -> bool:
        """Count one attempt; whether it may be tried. Refused ones are not counted, so that waits end."""
        at = self._clock()
        rows = await self._session.execute(
            _ADMIT,
            {
                "keys": [one.key for one in counted],
                "free": [one.free_failures for one in counted],
                "at": at,
                "forgotten": at - _FORGOTTEN_AFTER,
                "first": _FIRST_WAIT,
                "longest": _LONGEST_WAIT,
            },
        )
        # A row that others made while we looked was not held, and may have begun to wait before it counted us.
        admitted = [was_held or failures <= free + 1 for was_held, failures, free in rows]
        return bool(admitted) and all(admitted)

    async def succeed(self, account: Counted, source: Counted | None) -> None:
        """The attempt was right: the account begins anew, the source is given this one back."""
        await self._session.execute(_SUCCEED, {"account": account.key, "source": source.key if source else account.key})

    async def clear(self, counted: Counted) -> bool:
        """Forget failures at once; whether there were any."""
        cleared = await self._session.scalar(
            delete(LoginThrottle).where(LoginThrottle.key == counted.key).returning(LoginThrottle.key)
        )
        return cleared is not None

    async def delete_old(self) -> None:
        await self._session.execute(
            delete(LoginThrottle).where(LoginThrottle.last_failed_at < self._clock() - _FORGOTTEN_AFTER)
        )
