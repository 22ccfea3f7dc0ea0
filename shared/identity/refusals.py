"""Tells auth who was refused here: forged tokens, and callers who may not do what they ask.

Anybody may cause these without end. So the first of a kind is told at once, and how often it came again once a minute;
of more kinds than there is room for it is told how often they were in a tenant, then at all. A flood is a few messages
a minute, and auth's log goes on counting (docs/decisions/0028).
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from shared.errors import ServiceError
from shared.identity.caller import Caller
from shared.identity.deeds import ACCESS_REFUSED, TOKEN_FORGED, Deed
from shared.identity.telling import Teller
from shared.identity.tokens import TokenForged
from shared.loops import in_background, keep

_log = logging.getLogger("shared.identity")
_KINDS: Final = 100
_OF_TENANT: Final = 50  # or of nobody who is known
_TENANTS: Final = 100  # that are told of shortly
_TOLD_SECONDS: Final = 60.0


class Kind(NamedTuple):
    """What is the same of two refusals; as auth's log says its own (`services.auth.trust.refusals`)."""

    action: str
    actor: str | None = None
    tenant_id: str | None = None
    target: str | None = None
    act: str | None = None
    key_id: str | None = None
    source: str | None = None
    asked: str | None = None

    def told(self, times: int) -> Deed:
        """As a deed; without a word about whom it stands for others too."""
        said = self._asdict()
        asked = said.pop("asked")
        return Deed(**said, times=times, details={"asked": asked} if asked else {"others": True})


class Refusals:
    """What this process refused and to whom, counted in memory."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._untold: dict[Kind, int] = {}

    def note(self, refused: ServiceError, by: Caller | None, *, source: str, asked: str) -> None:
        """Have auth's log say it. Never raises, never waits."""
        kind = self._as_room_is(_kind(refused, by, source, asked))
        if kind in self._untold:
            self._untold[kind] += 1
        else:
            self._untold[kind] = 0
            self._teller.tell_deed(kind.told(1))

    def _as_room_is(self, kind: Kind) -> Kind:
        """Itself, or as one of many."""
        if kind in self._untold:
            return kind
        of_tenant = sum(one.tenant_id == kind.tenant_id for one in self._untold)
        if len(self._untold) < _KINDS and of_tenant < _OF_TENANT:
            return kind
        shorter = Kind(kind.action, tenant_id=kind.tenant_id)
        if shorter in self._untold or len(self._untold) < _KINDS + _TENANTS:
            return shorter
        return Kind(kind.action)

    async def run(self) -> None:
        """Never returns."""
        await keep(self.tell_repeated, log=_log, every_seconds=_TOLD_SECONDS, pauses_first=True)

    async def tell_repeated(self) -> None:
        """Tell what came again, and forget what did not."""
        counted = {kind: times for kind, times in self._untold.items() if times}
        for kind, times in counted.items():
            self._teller.tell_deed(kind.told(times))
        self._untold = dict.fromkeys(counted, 0)


def _kind(refused: ServiceError, by: Caller | None, source: str, asked: str) -> Kind:
    if isinstance(refused, TokenForged):
        return Kind(TOKEN_FORGED, target=refused.key_id, source=source, asked=asked)
    if by is None:
        return Kind(ACCESS_REFUSED, source=source, asked=asked)
    target = by.key_id or by.subject
    return Kind(ACCESS_REFUSED, by.subject, by.tenant_id, target, by.actor, by.key_id, source, asked)


@asynccontextmanager
async def refusing(teller: Teller) -> AsyncIterator[Refusals]:
    """Refusals that are told while the block runs, and the last of them at its end."""
    refusals = Refusals(teller)
    try:
        async with in_background(refusals.run()):
            yield refusals
    finally:
        await refusals.tell_repeated()
