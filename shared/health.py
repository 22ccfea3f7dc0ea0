"""Live and ready: live touches nothing; ready asks the dependencies, briefly, at once, and at most once a second."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from shared.errors import ServiceError
from shared.telemetry import monotonic_ms

_log = logging.getLogger("shared.health")
_PROBE_SECONDS = 1.0
_CACHE_SECONDS = 1.0

Status = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency. A hard one that fails makes the instance unready; a soft one only warns."""

    name: str
    probe: Callable[[], Awaitable[Any]]
    hard: bool = True


@dataclass(frozen=True, slots=True)
class Readiness:
    """The outcome of all checks; `checks` maps a component to `{status, latency_ms, detail?}`."""

    status: Status
    checks: dict[str, dict[str, Any]]


class Health:
    """The health of one instance."""

    def __init__(self) -> None:
        self._checks: list[Check] = []
        self._last: Readiness | None = None
        self._expires_at = 0.0
        self._lock = asyncio.Lock()
        self.draining = False

    def add(self, name: str, probe: Callable[[], Awaitable[Any]], *, hard: bool = True) -> None:
        """Have readiness ask `probe`, which raises when the dependency cannot serve."""
        self._checks.append(Check(name, probe, hard))

    async def readiness(self) -> Readiness:
        """The present state, at most a second old. While draining it is `fail` whatever the dependencies say."""
        async with self._lock:
            if self._last is None or time.monotonic() >= self._expires_at:
                self._last = await self._ask_all()
                self._expires_at = time.monotonic() + _CACHE_SECONDS
        if self.draining:
            return Readiness("fail", {**self._last.checks, "instance": {"status": "fail", "detail": "shutting down"}})
        return self._last

    async def _ask_all(self) -> Readiness:
        answers = await asyncio.gather(*(_ask(check) for check in self._checks))
        checks = {check.name: answer for check, answer in zip(self._checks, answers, strict=True)}
        return Readiness(worst(answer["status"] for answer in answers), checks)


def worst(statuses: Any) -> Status:
    """The status of a whole from those of its parts."""
    seen = set(statuses)
    return "fail" if "fail" in seen else "warn" if "warn" in seen else "pass"


async def _ask(check: Check) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await check.probe()
    except Exception as error:  # noqa: BLE001 - whatever a driver raises means the same here: not usable now
        _log.warning("check failed", extra={"fields": {"component": check.name, "cause": repr(error)}})
        detail = error.detail if isinstance(error, ServiceError) else f"{check.name} does not answer"
        status: Status = "fail" if check.hard else "warn"
        return {"status": status, "latency_ms": round(monotonic_ms(started), 2), "detail": detail}
    return {"status": "pass", "latency_ms": round(monotonic_ms(started), 2)}
