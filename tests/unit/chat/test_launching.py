"""What is counted of a run that waited for its turn."""

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest

from services.chat.runs.launching import launch_in_turn
from services.chat.usage import meter as metering
from services.chat.usage.meter import current_meter


class _Reservation:
    async def settle(self, tokens: int) -> None:
        """Of no matter here."""


class _Execution:
    """One that waits five minutes for its turn."""

    live = None
    limited = nullcontext

    def __init__(self, clock: list[float]) -> None:
        self._clock, self.worked_ms = clock, -1

    async def turn_comes(self, *_: Any) -> bool:
        self._clock[0] += 300
        return True

    async def run(self) -> None:
        self._clock[0] += 2
        meter = current_meter()
        self.worked_ms = meter.worked_ms if meter else -1


class _Room:
    seconds = 300.0


async def _launched(execution: _Execution, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = list[asyncio.Task[None]]()

    class Clock:
        @staticmethod
        def perf_counter() -> float:
            return clock[0]

    class Admission:
        def launch(self, _: Any, work: Any, **__: Any) -> None:
            tasks.append(asyncio.create_task(work))

    monkeypatch.setattr(metering, "time", Clock)
    arguments: list[Any] = [execution, Admission(), _Reservation(), _Room(), None]
    launch_in_turn(*arguments)
    await tasks[0]


async def test_waiting_for_a_turn_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    execution = _Execution(clock := [1_000.0])
    await _launched(execution, clock, monkeypatch)

    assert execution.worked_ms == 2_000


async def test_nor_is_it_where_the_run_ends_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it has begun in Redis, and only that was lost: its end is counted then."""

    class Ended(_Execution):
        async def turn_comes(self, *_: Any) -> bool:
            await super().turn_comes()
            await super().run()
            return False

    execution = Ended(clock := [1e9])
    await _launched(execution, clock, monkeypatch)

    assert execution.worked_ms == 0
