"""Follows what auth revokes and which keys it publishes, in every process."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.errors import Unavailable
from shared.identity.revocations import Revocation, Revocations
from shared.identity.together import Together
from shared.loops import keep

_log = logging.getLogger("shared.identity")
_POLL_SECONDS = 10.0  # how late a revocation is heard of when its event is lost
_ASKING_SECONDS = 6.0  # for a token of our own, what changed, and the keys
_OVERLAP_SECONDS = 60  # a change is visible at its commit, which is later than the time it carries
_STALE_SECONDS = 60
_CLOCKS_DIFFER_SECONDS = 30.0


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
    """Follows the list and the published keys (`shared.identity.RevocationSource`).

    Asked for every few seconds, and at once when an event says that something changed. While the source is away what is
    known goes on to hold; a process that has never heard the list verifies nobody.
    """

    def __init__(self, source: ChangesSource, keys: KeyLearner) -> None:
        self._source, self._keys = source, keys
        self.revocations = Revocations()
        self._heard_at = float("-inf")
        self._since: float | None = None
        self._clock_ahead = 0.0
        self._changed = asyncio.Event()
        self._asking = Together(self._ask, seconds=_ASKING_SECONDS, name="changes of auth")

    async def current(self) -> Revocations:
        """The list. Raises Unavailable when it was never to be had."""
        if self._since is None:
            await self._asking.attempt()
        return self.revocations

    def wake(self) -> None:
        """Ask now."""
        self._changed.set()

    async def run(self) -> None:
        """Never returns."""
        # What is on its way when an event wakes us may have left before the change.
        await keep(self._asking.attempt_anew, log=_log, every_seconds=_POLL_SECONDS, wake=self._changed)

    async def _ask(self) -> None:
        changes = await self._source.changes(self._since or 0.0)
        if self._since and self._has_jumped(changes):
            # What was written under the other time is not after `since`; what lapsed by the other time was forgotten.
            changes = await self._source.changes(0.0)
        self._clock_ahead = time.time() - changes.as_of
        for revocation in changes.revocations:
            self.revocations.add(revocation)
        await self._keys.learn(changes.key_ids)
        self._since = max(0.0, changes.as_of - _OVERLAP_SECONDS)
        self._heard_at = time.monotonic()

    def _has_jumped(self, changes: Changes) -> bool:
        """Whether the clock here or auth's was put forward or back since they were last compared."""
        return abs(time.time() - changes.as_of - self._clock_ahead) > _CLOCKS_DIFFER_SECONDS

    async def ping(self) -> None:
        """Raises Unavailable when nothing was heard for a minute: revocations may be missed.

        And when the clock here is not auth's: what it says of tokens is wrong until one of the two is put right.
        Before the first answer it asks itself, so that the first look at a new process tells how it is.
        """
        if self._since is None:
            await self.current()
        if time.monotonic() - self._heard_at > _STALE_SECONDS:
            raise Unavailable("auth", detail="Nothing was heard of auth for a minute: revocations may be missed.")
        if abs(self._clock_ahead) > _CLOCKS_DIFFER_SECONDS:
            detail = f"The clock here and auth's differ by {abs(self._clock_ahead):.0f} s: valid tokens may be refused."
            raise Unavailable("auth", detail=detail)
