"""Holds off guessing: failed logins are counted per account and per source, and each costs a longer wait.

An attempt is counted before its password is looked at and given back when it was right, so that many at once get no
more tries than one after the other. Counted in PostgreSQL, so that it holds over all replicas and without Redis.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import LoginThrottle

Clock = Callable[[], datetime]
# Long enough from the start that an eager script has no second try while a person would still be typing.
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)
_FORGOTTEN_AFTER = timedelta(hours=24)


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


def wait_after(failures: int, free_failures: int) -> timedelta:
    """Nothing at first, then half a minute, doubled by each further failure up to a quarter of an hour."""
    beyond = failures - free_failures
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(beyond - 1, 10)) if beyond > 0 else timedelta(0)


class Throttle:
    """The counts, over one transaction."""

    def __init__(self, session: AsyncSession, clock: Clock = now) -> None:
        self._session, self._clock = session, clock

    async def admit(self, counted: Sequence[Counted]) -> bool:
        """Count one attempt; whether it may be tried. Refused ones are not counted, so that waits end."""
        at = self._clock()
        rows = await self._locked(counted, at)
        is_free = not any(row.blocked_until and row.blocked_until > at for row in rows.values())
        for one in counted:
            row = rows[one.key]
            if is_free:
                is_old = row.last_failed_at < at - _FORGOTTEN_AFTER
                row.failures = 1 if is_old else row.failures + 1
                wait = wait_after(row.failures, one.free_failures)
                # None, not `at`: whoever read the clock earlier and got the lock later would find it still to come.
                row.blocked_until = at + wait if wait else None
            row.last_failed_at = at  # written in either case, so that both take the same time
        await self._session.flush()
        return is_free

    async def succeed(self, account: Counted, source: Counted | None) -> None:
        """The attempt was right: the account begins anew, the source is given this one back."""
        for one in _in_order([account, source] if source else [account]):
            await (self._set(one, failures=0) if one is account else self._give_back(one))

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

    async def _locked(self, counted: Sequence[Counted], at: datetime) -> dict[bytes, LoginThrottle]:
        """The rows, made when missing."""
        keys = [one.key for one in _in_order(counted)]
        missing = [{"key": key, "failures": 0, "last_failed_at": at} for key in keys]
        await self._session.execute(insert(LoginThrottle).values(missing).on_conflict_do_nothing())
        statement = (
            select(LoginThrottle)
            .where(LoginThrottle.key.in_(keys))
            .order_by(LoginThrottle.key)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return {row.key: row for row in await self._session.scalars(statement)}

    async def _set(self, counted: Counted, *, failures: int) -> None:
        await self._session.execute(
            update(LoginThrottle)
            .where(LoginThrottle.key == counted.key)
            .values(failures=failures, blocked_until=None)
            .execution_options(synchronize_session=False)
        )

    async def _give_back(self, counted: Counted) -> None:
        await self._session.execute(
            update(LoginThrottle)
            .where(LoginThrottle.key == counted.key, LoginThrottle.failures > 0)
            .values(failures=LoginThrottle.failures - 1, blocked_until=None)
            .execution_options(synchronize_session=False)
        )


def _in_order(counted: Sequence[Counted]) -> list[Counted]:
    """The one order in which all take rows, or two logins could wait for each other."""
    return sorted(counted, key=lambda one: one.key)
