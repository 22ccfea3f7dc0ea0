"""Which settings of a process are changed from outside, what they may be, and that it takes what it is told.

They stand in Consul under `sutazai/<service>/<setting>`, as text as in the environment. What may not be is refused: the
value of before stays, and readiness says so until it is put right. A key that goes leaves the environment's value,
unless with it went the one that says that the store is whole.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from shared.discovery import Kept
from shared.errors import RateLimited, ServiceError, Unavailable, UpstreamTimeout
from shared.health import Finding
from shared.settings import ServiceSettings

_log = logging.getLogger("shared.live")
KEPT_KEY: Final = ".kept"
"""Says that Consul's store is whole: where not even this is, nothing is believed to have been deleted."""
NONE: Final = "none"
"""How a setting that may have no value is told to have none."""
_MOST_BYTES = 256
_MOST_TOLD = 5
_PASSING: Final = (Unavailable, UpstreamTimeout, RateLimited)
_UNKNOWN = "is none that changes while it runs"
LIVE_REMEDY: Final = "`make config` shows and sets them"
Applier = Callable[[Any], Awaitable[None]]


class Change(NamedTuple):
    """A setting that has another value now; `value` is None where it is the environment's again."""

    name: str
    value: str | None
    version: int


class ChangeNames:
    """What each change is called, alike in all replicas and unlike any other.

    A setting that is taken back goes by the value it had: of what is left Consul says the same, however often.
    """

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def name(self, change: Change) -> str:
        """Of a change that comes after those that were named before."""
        if change.value is None:
            return f"{change.name}:{self._versions.pop(change.name, change.version)}:taken-back"
        self._versions[change.name] = change.version
        return f"{change.name}:{change.version}"


def prefix_of(service: str) -> str:
    """Under which the settings of a service stand."""
    return f"sutazai/{service}/"


def live_value(settings: type[ServiceSettings], name: str, text: str) -> Any:
    """What the text means for the setting `name`. Raises ValueError, which says why it may not be."""
    field = settings.model_fields[name]
    try:
        return TypeAdapter[Any](field.rebuild_annotation()).validate_python(None if text == NONE else text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise ValueError(problem["msg"].removeprefix("Value error, ")) from error


class LiveSettings:
    """Those of one process. `current` is its settings as they are now."""

    def __init__(self, settings: ServiceSettings, told: Callable[[Change], None]) -> None:
        """`told` hears of each change that was applied."""
        self.current, self._first, self._told = settings, settings, told
        self._names = settings.live
        self._appliers: dict[str, Applier] = {}
        self._given: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._last: Sequence[Kept] = ()
        self._turn = asyncio.Lock()

    async def follow(self, applier: Applier, *names: str) -> None:
        """Have `applier` called with the whole settings when one of these has changed; what it refuses, by one of our
        errors, is not applied. Whatever came before is applied now, or with the next `take` where that cannot be told.
        """
        for name in names:
            assert name in self._names, name  # noqa: S101 - a mistake of ours
            self._appliers[name] = applier
        if self._last:
            try:
                await self.take(self._last)
            except _PASSING as error:  # a process starts though what judges a value is away
                _log.warning("settings not applied yet", extra={"fields": {"cause": error.detail}})

    async def take(self, entries: Sequence[Kept]) -> None:
        """All that is kept for this process now. What was refused is tried again each time: the reason may have gone.

        Raises Unavailable where it could not be told whether one will do, after the others were applied.
        """
        async with self._turn:
            self._last = entries
            kept = {entry.name: entry for entry in entries if entry.name != KEPT_KEY}
            latest = max((entry.version for entry in entries), default=0)
            is_whole = any(entry.name == KEPT_KEY for entry in entries)
            refused = {name: _UNKNOWN for name in kept if name and name not in self._names}
            away: ServiceError | None = None
            for name in self._names:
                if name not in self._appliers or (name not in kept and not is_whole):
                    continue
                try:
                    reason = await self._take(name, kept.get(name), latest)
                except _PASSING as error:
                    away = error
                    continue
                if reason:
                    refused[name] = reason
            self._tell_refused(refused)
            if away is not None:
                raise away

    async def _take(self, name: str, entry: Kept | None, latest: int) -> str | None:
        """Why it was refused, if it was."""
        try:
            text = _text(entry.value) if entry else None
            if text == self._given.get(name):
                return None
            settings = type(self.current)
            value = getattr(self._first, name) if text is None else live_value(settings, name, text)
            wanted = self.current.model_copy(update={name: value})
            await self._appliers[name](wanted)
        except _PASSING:
            raise
        except ServiceError as error:
            return error.detail
        except ValueError as error:
            return str(error)
        self.current = wanted
        if text is None:
            del self._given[name]
        else:
            self._given[name] = text
        _log.warning("setting changed", extra={"fields": {"setting": name, "value": text}})
        self._told(Change(name, text, entry.version if entry else latest))
        return None

    def _tell_refused(self, refused: dict[str, str]) -> None:
        for name, reason in refused.items():
            if self._refused.get(name) != reason:
                _log.error("setting refused", extra={"fields": {"setting": name[:_MOST_BYTES], "reason": reason}})
        self._refused = refused

    async def check(self) -> None:
        """Raises Finding while something that is kept for this process will not do; of its value nothing is told."""
        if self._refused:
            told = [f"{name[:64]} {reason}" for name, reason in sorted(self._refused.items())[:_MOST_TOLD]]
            raise Finding(f"settings in consul are refused, what they were stays: {'; '.join(told)}", LIVE_REMEDY)


def _text(value: bytes) -> str:
    """Raises ValueError for what is no short line of text."""
    if len(value) > _MOST_BYTES:
        raise ValueError(f"is longer than {_MOST_BYTES} bytes")
    try:
        text = value.decode().strip()
    except UnicodeDecodeError as error:
        raise ValueError("is no text") from error
    if not text or not text.isprintable():
        raise ValueError("is empty or no line of text")
    return text
