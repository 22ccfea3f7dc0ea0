"""Live and ready: live touches nothing; ready has every dependency do a small piece of real work, and tells what to do.

That a store answers says little: one whose disk was full may answer pings and take nothing. So a probe writes and reads
back, or publishes and consumes. All run at once, at most every second and a half, each for a second at most.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from shared import deadlines
from shared.ending import end
from shared.errors import ServiceError
from shared.telemetry import monotonic_ms

_log = logging.getLogger("shared.health")
PROBE_SECONDS = 1.0
_CACHE_SECONDS = 1.5

STORE_REMEDY = "look at its free space and its log, then restart it (`make up`)"

Status = Literal["pass", "warn", "fail"]
Probe = Callable[[], Awaitable[object]]


class Finding(Exception):
    """What a probe found, in words for an operator; `remedy` where that of the check does not fit."""

    def __init__(self, found: str, remedy: str | None = None) -> None:
        self.found, self.remedy = found, remedy
        super().__init__(found)


def require_kept(component: str, written: object, found: object) -> None:
    """What every probe that writes and reads back ends with. Raises Finding unless `found` is what was written."""
    if found != written:
        raise Finding(f"{component} does not keep what is written")


@dataclass(frozen=True, slots=True)
class Readiness:
    """The outcome of all checks; `checks` maps a component to `{status, latency_ms, detail?}`."""

    status: Status
    checks: dict[str, dict[str, Any]]


class Health:
    """The health of one instance."""

    def __init__(self) -> None:
        self._checks: dict[str, _Check] = {}
        self._last: Readiness | None = None
        self._expires_at = 0.0
        self._lock = asyncio.Lock()
        self.draining = False

    @property
    def checks(self) -> dict[str, bool]:
        """What is looked at, by name, and whether it is hard."""
        return {name: check.hard for name, check in self._checks.items()}

    def add(self, name: str, probe: Probe, *, remedy: str, hard: bool = True) -> None:
        """Have readiness run `probe`, which raises when the dependency cannot do its work. Takes the place of `name`.

        A hard check that does not pass makes the instance unready; a soft one only warns. `remedy` follows what was
        found: "look at its log, then restart it". What the probe raises is shown as a Finding or a ServiceError says
        it, and anything else as no answer. A probe that outlives its second is ended, and is not begun again before it
        has ended.
        """
        self._checks[name] = _Check(name, probe, remedy, hard)

    async def readiness(self) -> Readiness:
        """The present state, at most a second and a half old. `fail` while draining, whatever the dependencies say."""
        async with self._lock:
            if self._last is None or time.monotonic() >= self._expires_at:
                self._last = await self._ask_all()
                self._expires_at = time.monotonic() + _CACHE_SECONDS
        if self.draining:
            return Readiness("fail", {**self._last.checks, "instance": {"status": "fail", "detail": "shutting down"}})
        return self._last

    async def _ask_all(self) -> Readiness:
        checks = list(self._checks.values())
        answers = await asyncio.gather(*(check.ask() for check in checks))
        return Readiness(
            worst(answer["status"] for answer in answers),
            {check.name: answer for check, answer in zip(checks, answers, strict=True)},
        )


def worst(statuses: Iterable[Status]) -> Status:
    """The status of a whole from those of its parts."""
    seen = set(statuses)
    return "fail" if "fail" in seen else "warn" if "warn" in seen else "pass"


class _Check:
    """One dependency, and the run of its probe that has not ended yet."""

    def __init__(self, name: str, probe: Probe, remedy: str, hard: bool) -> None:
        self.name, self.hard = name, hard
        self._probe, self._remedy = probe, remedy
        self._run: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[bool] | None = None

    async def ask(self) -> dict[str, Any]:
        """Within the second: what waits for a cancel to be heard would make one sick store the end of all checks."""
        started = time.perf_counter()
        run = self._begun()
        try:
            await asyncio.wait({run}, timeout=PROBE_SECONDS)
        finally:
            if not run.done() and (self._ending is None or self._ending.done()):
                self._ending = asyncio.create_task(end(run, within_seconds=PROBE_SECONDS), name=f"end:{self.name}")
        answer: dict[str, Any] = {"status": "pass", "latency_ms": round(monotonic_ms(started), 2)}
        if trouble := self._trouble(run):
            answer |= {"status": "fail" if self.hard else "warn", "detail": trouble}
        return answer

    def _begun(self) -> "asyncio.Task[None]":
        if self._run is None or self._run.done():
            with deadlines.of_its_own(PROBE_SECONDS):
                self._run = asyncio.create_task(self._once(), name=f"probe:{self.name}")
            self._run.add_done_callback(lambda run: run.cancelled() or run.exception())  # which nobody may ask for
        return self._run

    async def _once(self) -> None:
        await self._probe()

    def _trouble(self, run: "asyncio.Task[None]") -> str | None:
        """What does not work and what to do; nothing of what a driver says, which may name what is inside."""
        error = run.exception() if run.done() and not run.cancelled() else TimeoutError()
        if error is None:
            return None
        _log.warning(
            "check failed", extra={"fields": {"component": self.name, "cause": repr(error.__cause__ or error)}}
        )
        remedy = self._remedy
        match error:
            case Finding():
                found, remedy = error.found, error.remedy or remedy
            case ServiceError():
                found = error.detail.rstrip(".")
            case TimeoutError():
                found = f"{self.name} has not done a small piece of work in {PROBE_SECONDS:g} s"
            case _:
                found = f"{self.name} does not work"
        return f"{found}: {remedy}"
