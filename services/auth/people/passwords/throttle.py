"""Holds off guessing: failed logins are counted per account and per source, and each costs a longer wait.

An attempt is counted before its password is looked at and given back when it was right, so that many at once get no
more tries than one after the other. Counts run out as time passes, so that what somebody did in the morning does not
refuse everybody in the evening. Counted in PostgreSQL, so that it holds over all replicas and without Redis.

Where an account logged in before it is known: attempts there are counted apart, by the account at that source. So
guessing elsewhere, from however many sources, does not refuse the owner where they are, and a source that is held off
still lets them in. Nobody learns who they are: a wrong password is answered as if the source had refused it.
"""

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import KnownLoginSource, LoginThrottle

Clock = Callable[[], datetime]
# Long enough from the start that an eager script has no second try while a person would still be typing.
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)
_MOST_BEYOND = 6  # failures beyond the free ones that are counted: the wait of the last is the longest
_FORGOTTEN_AFTER = timedelta(hours=24)  # every count has run out by then
_KNOWN_SOURCES = 10  # of one account, the latest
_KNOWN_FOR = timedelta(days=90)  # since the last login from there, which is kept to the hour

# All rows or none: what one of them refuses does not count against the other, but for a known source, which is passed
# over. Two that count by the same key take turns first, in the order of `locks`: rows alone would not do, as one that
# others made while we looked cannot be held in its order, and two logins could wait for each other. Beyond what is free
# each failure doubles the wait. Whole failures run out, and the time is set forward by what those took: the rest counts
# for the next. A row that others made while we looked may have begun to wait before it counted us: then its count says
# so.
_ADMIT = text("""
    WITH turns AS (
        SELECT count(pg_advisory_xact_lock(lock)) AS taken FROM unnest(CAST(:locks AS bigint[])) AS one (lock)
    ), given AS (
        SELECT one.* FROM turns
        CROSS JOIN unnest(CAST(:keys AS bytea[]), CAST(:free AS integer[]), CAST(:seconds AS integer[]))
            AS one (key, free, seconds)
        WHERE taken > 0
    ), held AS (
        SELECT key, blocked_until FROM login_throttle WHERE key IN (SELECT key FROM given) ORDER BY key FOR UPDATE
    ), waiting AS (
        SELECT key, blocked_until FROM held WHERE blocked_until > CAST(:at AS timestamptz)
    ), source AS (
        SELECT (SELECT blocked_until FROM waiting WHERE key = CAST(:source AS bytea)) AS blocked_until
    ), verdict AS (
        SELECT source.blocked_until, NOT EXISTS (SELECT FROM waiting WHERE key = CAST(:account AS bytea))
            AND (source.blocked_until IS NULL OR :is_known) AS is_free FROM source
    ), counted AS (
        INSERT INTO login_throttle AS counted (key, failures, last_failed_at)
        SELECT key, 1, CAST(:at AS timestamptz) FROM given, verdict
        WHERE is_free AND (key = :account OR blocked_until IS NULL) ORDER BY key
        ON CONFLICT (key) DO UPDATE SET (failures, last_failed_at, blocked_until) = (
            SELECT failed,
                CASE WHEN failed > 1 THEN counted.last_failed_at + over * seconds * interval '1 s' ELSE :at END,
                CASE WHEN failed > free
                    THEN :at + least(:longest, CAST(:first AS interval) * 2.0 ^ (failed - free - 1))
                END
            FROM (
                SELECT free, seconds, over,
                    least(free + CAST(:most AS integer), greatest(0, counted.failures - over) + 1) AS failed
                FROM given, LATERAL (
                    SELECT greatest(0, extract(epoch FROM :at - counted.last_failed_at)::integer / seconds) AS over
                ) AS since
                WHERE given.key = counted.key
            ) AS next
        )
        RETURNING key IN (SELECT key FROM held)
            OR failures <= (SELECT free + 1 FROM given WHERE given.key = counted.key) AS is_admitted
    )
    SELECT is_free AND (SELECT coalesce(bool_and(is_admitted), false) FROM counted), blocked_until FROM verdict
""")
# Two logins of one account take turns at its row, and so never wait for each other at the sources it is known at. A row
# that was inserted has no `xmax`, one that was updated has.
_SUCCEED = text("""
    WITH turns AS (
        SELECT count(pg_advisory_xact_lock(lock)) AS taken FROM unnest(CAST(:locks AS bigint[])) AS one (lock)
    ), held AS (
        SELECT key FROM login_throttle
        WHERE (SELECT taken FROM turns) > 0
            AND (key = CAST(:counted_account AS bytea) OR (key = CAST(:counted_source AS bytea) AND failures > 0))
        ORDER BY key FOR UPDATE
    ), turn AS (
        SELECT count(*) FROM held
    ), given_back AS (
        UPDATE login_throttle AS counted
        SET failures = CASE WHEN counted.key = :counted_account THEN 0 ELSE greatest(0, counted.failures - 1) END,
            blocked_until = NULL
        FROM held WHERE counted.key = held.key
    ), remembered AS (
        INSERT INTO known_login_source AS known (account, source, last_login_at)
        SELECT CAST(:account AS bytea), CAST(:source AS bytea), CAST(:at AS timestamptz)
        FROM turn WHERE :source IS NOT NULL
        ON CONFLICT (account, source) DO UPDATE SET last_login_at = :at
        WHERE known.last_login_at < :at - interval '1 hour'
        RETURNING xmax = 0 AS is_new
    ), forgotten AS (
        DELETE FROM known_login_source USING turn WHERE account = :account AND source IN (
            SELECT source FROM known_login_source WHERE account = :account AND source <> :source
            ORDER BY last_login_at DESC OFFSET CAST(:others AS integer)
        )
    )
    SELECT coalesce(bool_or(is_new), false) FROM remembered
""")
_IS_KNOWN = text("SELECT EXISTS (SELECT FROM known_login_source WHERE account = :account AND source = :source)")
_CLEAR = text("""
    DELETE FROM login_throttle
    WHERE key = :key OR key IN (SELECT sha256(account || source) FROM known_login_source WHERE account = :key)
    RETURNING key
""")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Counted:
    """What failures are counted by, how many cost nothing, and how long it takes until one less is counted."""

    key: bytes
    free_failures: int
    runs_out_in_seconds: int


def by_account(email: str) -> Counted:
    """By the address as it is spelled, known or not: a wait must not tell which addresses have an account."""
    return Counted(hashlib.sha256(b"account\0" + email.encode()).digest(), free_failures=9, runs_out_in_seconds=3600)


def by_source(address: str) -> Counted:
    """By where attempts come from; many people may share one address, so it takes more of them, and runs out sooner."""
    return Counted(hashlib.sha256(b"source\0" + address.encode()).digest(), free_failures=100, runs_out_in_seconds=120)


def _by_account_at(account: Counted, source: Counted) -> Counted:
    """As by the account; `_CLEAR` makes the same key."""
    return replace(account, key=hashlib.sha256(account.key + source.key).digest())


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether the password counts, and how long the source is held off, whoever tries from there; None if it is not.

    An account that is known at the source is admitted all the same. `by` is what it was counted by: itself, or itself
    at that source.
    """

    is_admitted: bool
    source_waits_seconds: int | None
    by: Counted


def _locks(counted: Iterable[Counted | None]) -> list[int]:
    """What two attempts that are counted by the same take turns at, in the one order everybody keeps."""
    return sorted(int.from_bytes(one.key[:8], signed=True) for one in counted if one)


class Throttle:
    """The counts. Outside of a transaction each operation is one by itself, and holds its rows no longer."""

    def __init__(self, session: AsyncSession, clock: Clock = now) -> None:
        self._session, self._clock = session, clock

    async def admit(self, account: Counted, source: Counted | None = None) -> Admission:
        """Count one attempt, unless it may not be tried: refused ones are not counted, so that waits end."""
        is_known = source is not None and await self._is_known(account, source)
        by = _by_account_at(account, source) if source and is_known else account
        at, counted = self._clock(), [by, *([source] if source else [])]
        is_admitted, until = (
            await self._session.execute(
                _ADMIT,
                {
                    "locks": _locks(counted),
                    "keys": [one.key for one in counted],
                    "free": [one.free_failures for one in counted],
                    "seconds": [one.runs_out_in_seconds for one in counted],
                    "account": by.key,
                    "source": source.key if source else None,
                    "is_known": is_known,
                    "at": at,
                    "first": _FIRST_WAIT,
                    "longest": _LONGEST_WAIT,
                    "most": _MOST_BEYOND,
                },
            )
        ).one()
        return Admission(is_admitted, math.ceil((until - at).total_seconds()) if until else None, by)

    async def _is_known(self, account: Counted, source: Counted) -> bool:
        return bool(await self._session.scalar(_IS_KNOWN, {"account": account.key, "source": source.key}))

    async def succeed(self, account: Counted, source: Counted | None, admission: Admission) -> bool:
        """The attempt was right: what it was counted by begins anew, and the source is given this one back.

        The account is known there from now on.

        Whether it was not known there before.
        """
        was_counted = admission.source_waits_seconds is None
        values = {
            "locks": _locks([admission.by, source if was_counted else None]),
            "account": account.key,
            "counted_account": admission.by.key,
            "source": source.key if source else None,
            "counted_source": source.key if source and was_counted else None,
            "at": self._clock(),
            "others": _KNOWN_SOURCES - 1,
        }
        return bool(await self._session.scalar(_SUCCEED, values))

    async def clear(self, counted: Counted) -> bool:
        """Forget failures at once, also those at sources where the account is known; whether there were any."""
        return bool((await self._session.scalars(_CLEAR, {"key": counted.key})).all())

    async def delete_old(self) -> None:
        """What has run out, and where nobody logs in any more."""
        at = self._clock()
        await self._session.execute(delete(LoginThrottle).where(LoginThrottle.last_failed_at < at - _FORGOTTEN_AFTER))
        await self._session.execute(delete(KnownLoginSource).where(KnownLoginSource.last_login_at < at - _KNOWN_FOR))
