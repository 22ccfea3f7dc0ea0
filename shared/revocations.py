"""Tokens that ended before their time: what was revoked, in memory, until the last token it concerns has expired.

Access tokens are verified without asking anybody, so each service keeps the short list of what was revoked lately. auth
writes it, and every process follows it.
"""

import asyncio
import heapq
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.errors import ServiceError, Unavailable

_log = logging.getLogger("shared.revocations")
_POLL_SECONDS = 10.0  # how late a revocation is heard of when its event is lost
_OVERLAP_SECONDS = 60  # a change is visible at its commit, which is later than the time it carries
_STALE_SECONDS = 60


@dataclass(frozen=True, slots=True, order=True)
class Revocation:
    """Tokens that carry `subject` are refused: all of them, or those issued up to `issued_until` (Unix seconds).

    Forgotten at `expires_at`, when no token of before is valid any more.
    """

    expires_at: float
    subject: str
    issued_until: float | None = None


class Identified(Protocol):
    """A caller as revocations see it."""

    @property
    def issued_at(self) -> float:
        """When its token was made (Unix seconds)."""

    @property
    def revocation_subjects(self) -> Iterable[str]:
        """Everything by which it could be revoked."""


class Revocations:
    """The list. Adding what is there already changes nothing."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._by_subject: dict[str, Revocation] = {}
        self._by_expiry: list[Revocation] = []

    def add(self, revocation: Revocation) -> None:
        self._forget_expired()
        known = self._by_subject.get(revocation.subject)
        if known is None or _reach(revocation) > _reach(known):
            self._by_subject[revocation.subject] = revocation
            heapq.heappush(self._by_expiry, revocation)

    def covers(self, caller: Identified) -> bool:
        """Whether the caller's token was revoked."""
        if not self._by_subject:
            return False
        for subject in caller.revocation_subjects:
            found = self._by_subject.get(subject)
            if found and (found.issued_until is None or caller.issued_at <= found.issued_until):
                return True
        return False

    def __len__(self) -> int:
        return len(self._by_subject)

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._by_expiry and self._by_expiry[0].expires_at <= now:
            gone = heapq.heappop(self._by_expiry)
            if self._by_subject.get(gone.subject) == gone:
                del self._by_subject[gone.subject]


@dataclass(frozen=True, slots=True)
class Changes:
    """What was revoked lately, and the ids of all signing keys that are published now, as of a time of auth's clock."""

    as_of: float
    revocations: Sequence[Revocation]
    key_ids: Sequence[str]


class ChangesSource(Protocol):
    """Who knows what changed."""

    async def changes(self, since: float) -> Changes:
        """What was written since then (Unix seconds), and everything that still holds when 0. Raises Unavailable."""


class KeyLearner(Protocol):
    """Who verifies with the published keys."""

    async def learn(self, key_ids: Sequence[str]) -> None:
        """Have all of these, before anything is signed with the newest. Raises Unavailable."""


class RevocationFeed:
    """Follows the list and the published keys (`shared.tokens.RevocationSource`).

    Asked for every few seconds, and at once when an event says that something changed. While the source is away what is
    known goes on to hold; a process that has never heard the list verifies nobody.
    """

    def __init__(self, source: ChangesSource, keys: KeyLearner) -> None:
        self._source, self._keys = source, keys
        self.revocations = Revocations()
        self._heard_at = float("-inf")
        self._since: float | None = None
        self._changed = asyncio.Event()
        self._asking = asyncio.Lock()

    async def current(self) -> Revocations:
        """The list. Raises Unavailable when it was never to be had."""
        if self._since is None:
            async with self._asking:
                if self._since is None:
                    await self._ask()
        return self.revocations

    def wake(self) -> None:
        """Ask now."""
        self._changed.set()

    async def run(self) -> None:
        """Never returns."""
        while True:
            try:
                async with self._asking:
                    await self._ask()
            except ServiceError as error:
                _log.info("revocations not heard", extra={"fields": {"detail": error.detail}})
            except Exception:  # noqa: BLE001 - whatever an answer holds, the list must be followed on
                _log.exception("revocations not understood")
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(random.uniform(0.8, 1.0) * _POLL_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    async def _ask(self) -> None:
        changes = await self._source.changes(self._since or 0.0)
        for revocation in changes.revocations:
            self.revocations.add(revocation)
        await self._keys.learn(changes.key_ids)
        self._since = max(0.0, changes.as_of - _OVERLAP_SECONDS)
        self._heard_at = time.monotonic()

    async def ping(self) -> None:
        """Raises Unavailable when nothing was heard for a minute: revocations may be missed."""
        if time.monotonic() - self._heard_at > _STALE_SECONDS:
            raise Unavailable("auth", detail="Nothing was heard of auth for a minute: revocations may be missed.")


class HeldRevocations:
    """The list of a process that keeps it by itself (`shared.tokens.RevocationSource`)."""

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations

    async def current(self) -> Revocations:
        return self._revocations


def _reach(revocation: Revocation) -> tuple[float, float]:
    until = float("inf") if revocation.issued_until is None else revocation.issued_until
    return until, revocation.expires_at


# The subjects a token may be revoked by. auth writes them, `Caller` names its own; both spell them here.


def token_subject(token_id: str) -> str:
    return f"jti:{token_id}"


def session_subject(session_id: str) -> str:
    return f"sid:{session_id}"


def key_subject(key_id: str) -> str:
    return f"key:{key_id}"


def user_subject(user_id: str) -> str:
    return f"sub:{user_id}"


def member_subject(tenant_id: str, user_id: str) -> str:
    """A user within one tenant: for a role that was lowered or taken away."""
    return f"mem:{tenant_id}:{user_id}"
