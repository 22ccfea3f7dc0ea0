"""A row of the table: the runs of every contender, round by round, and the ratios they come to."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.servers import settle

BUSY_MACHINE = 0.15
"""The share of the machine that others may use; what the stores of a row do for it counts as theirs."""
FEWEST_ROUNDS = 3
"""Of which one may be off, and the median is not."""
PATIENCE_SECONDS = 60.0
"""That a row waits for a quiet machine, all turns together."""


@dataclass(frozen=True, slots=True)
class Load:
    """One run: what was achieved, and what the server spent on each request.

    `cpu_us_per_request` is None where the server did other work at the same time. `others_cpu_share` is what neither
    client nor server used of the whole machine; None where it was not watched.
    """

    requests_per_second: float
    p50_us: float
    p99_us: float
    client_cpu_share: float
    cpu_us_per_request: float | None = None
    rss_mib: float | None = None
    others_cpu_share: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One number per round, and what their median should come to."""

    label: str
    values: list[float]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool | None:
        """None where nothing was promised."""
        if self.at_least is not None:
            return self.median >= self.at_least
        return None if self.at_most is None else self.median <= self.at_most


Runs = dict[str, list[Load]]


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, and what it means."""

    id: str
    work: str
    runs: Runs
    figures: list[Figure]

    @property
    def others_cpu_share(self) -> float:
        """Of the busiest contender's median run: what the machine did for somebody else meanwhile."""
        shares = [[load.others_cpu_share or 0.0 for load in loads] for loads in self.runs.values()]
        return max((statistics.median(each) for each in shares if each), default=0.0)

    @property
    def is_credible(self) -> bool:
        """Whether the machine was quiet enough; ratios survive a little company, not a lot."""
        return self.others_cpu_share <= BUSY_MACHINE


@dataclass(frozen=True, slots=True)
class Rounds:
    """How often each contender has its turn: `most` times, or fewer where another would end after `until`."""

    most: int
    until: float = float("inf")


def in_turns(
    contenders: Sequence[Callable[[], Mapping[str, Load]]], rounds: Rounds, *, patience: float = PATIENCE_SECONDS
) -> Runs:
    """A B C A B C …: the machine's drift meets all of them alike. One round beforehand warms up and is dropped."""
    runs: Runs = {}
    began = time.monotonic()
    for number in range(rounds.most + 1):
        now = time.monotonic()
        if number > FEWEST_ROUNDS and now + (now - began) / number > rounds.until:
            break
        for run in contenders:
            patience -= settle(patience)
            for name, load in run().items():
                if number:
                    runs.setdefault(name, []).append(load)
    return runs


def ratios(
    runs: Runs, above: str, below: str, of: Callable[[Load], float] = lambda load: load.requests_per_second
) -> list[float]:
    """`above` over `below` within each round, in requests per second unless `of` says otherwise."""
    return [of(one) / of(other) for one, other in zip(runs[above], runs[below], strict=True)]


def cpu(load: Load) -> float:
    """0 where the server did other work at the same time."""
    return load.cpu_us_per_request or 0.0


def p99(load: Load) -> float:
    return load.p99_us
