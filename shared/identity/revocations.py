"""Tokens that ended before their time: what was revoked, in memory, until the last token it concerns has expired.

Access tokens are verified without asking anybody, so each service keeps the short list of what was revoked lately. auth
writes it, and every process follows it.
"""

import heapq
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol


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


class HeldRevocations:
    """The list of a process that keeps it by itself (`shared.identity.RevocationSource`)."""

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations

    async def current(self) -> Revocations:
        return self._revocations


def _reach(revocation: Revocation) -> tuple[float, float]:
    until = float("inf") if revocation.issued_until is None else revocation.issued_until
    return until, revocation.expires_at
