"""Faults without a pause: every few seconds another part is killed or frozen, whatever has not come back yet."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import psutil

from local.errors import LocalError
from local.suite import Suite
from tests.faults.answers import Tally
from tests.faults.faults import PROCESSES, STORES, Fault, freeze, kill
from tests.faults.ledger import Findings

EVERY_SECONDS: Final = 5.0
_MOST_AT_ONCE: Final = 2  # broken parts: with more, nothing would ever work, and nothing be acknowledged
_BACK_SECONDS: Final = 180.0
_FAULTS: Final = tuple(
    Fault(strike.__name__, target, strike) for target in STORES + PROCESSES for strike in (kill, freeze)
)
_SHOWN: Final = 20
_HEAD: Final = ("| fault | times |", "|---|---|")


@dataclass
class Soak:
    """Strikes at `suite`, in an order that the seed of `chance` decides; `say` is told of each strike."""

    suite: Suite
    chance: random.Random
    say: Callable[[str], None]
    struck: Counter[str] = field(default_factory=Counter)
    _broken: set[str] = field(default_factory=set)

    async def strike_for(self, seconds: float) -> None:
        """Returns when the time is over and everything runs. Raises SuiteFailed, TimeoutError where it does not."""
        began = time.monotonic()
        async with asyncio.timeout(seconds + _BACK_SECONDS), asyncio.TaskGroup() as strikes:
            while (now := time.monotonic() - began) < seconds:
                if len(self._broken) < _MOST_AT_ONCE:
                    strikes.create_task(self._strike(self._choose(), now))
                await asyncio.sleep(EVERY_SECONDS)
        await asyncio.to_thread(self.suite.up)

    def _choose(self) -> Fault:
        return self.chance.choice([fault for fault in _FAULTS if fault.target not in self._broken])

    async def _strike(self, fault: Fault, at: float) -> None:
        self.say(f"{at:6.1f} s  {fault.name}")
        self.struck[fault.name] += 1
        self._broken.add(fault.target)
        try:
            await fault.strike(self.suite, fault.target)
        except (LocalError, psutil.NoSuchProcess) as error:  # what it needs was struck in that moment
            self.say(f"{'':6}    {fault.target} is not back at once: {error}")
            await self._bring_back(fault.target)
        finally:
            self._broken.discard(fault.target)

    async def _bring_back(self, target: str) -> None:
        while True:
            try:
                return await asyncio.to_thread(self.suite.start, target)
            except LocalError:
                await asyncio.sleep(1)


def table(struck: Counter[str], findings: Findings, tally: Tally) -> str:
    """How often each fault was, and what came of all of them together, in Markdown; then what should not have been."""
    came = {
        "acknowledged": findings.acknowledged,
        "lost": len(findings.lost),
        "twice": len(findings.twice),
        "hung": len(tally.hung),
        "wrong answers": len(tally.wrong),
        "refused or cut": tally.counts["refused"] + tally.counts["cut"],
        "answers over 10 s": len(tally.slow),
        "longest answer, s": round(tally.longest_seconds, 1),
    }
    faults = [f"| {name} | {count} |" for name, count in sorted(struck.items())]
    sums = [f"| {' | '.join(came)} |", "|---" * len(came) + "|", f"| {' | '.join(map(str, came.values()))} |"]
    amiss = [f"hung: {what}" for what in tally.hung[:_SHOWN]] + [f"wrong: {what}" for what in tally.wrong[:_SHOWN]]
    return "\n".join((*_HEAD, *faults, "", *sums, *amiss))
