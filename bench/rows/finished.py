"""T4: what many finished tasks cost those who submit, read and list; and what deleting them costs them too."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote

from bench.finished import DAYS, FEW, PARENT, RARE_ERROR
from bench.load import Request, run_wrk
from bench.row import Figure, Load, Rounds, Row, Runs, in_turns, p99, ratios
from bench.servers import Server
from bench.stage import Stage

WORK = ("submit", "read", "list")
_CONNECTIONS = 16
_SAME, _SLOWER_P99 = 0.9, 2.0
_INPUT = {"text": "x" * 180}


@dataclass(frozen=True, slots=True)
class Side:
    """tasks, beside so many that have ended."""

    server: Server
    key: str
    ids: Sequence[str]

    def requests(self, work: str) -> list[Request]:
        headers = {"X-API-Key": self.key, "Content-Type": "application/json"}
        root = f"{self.server.url}/api/v1/tasks"
        if work == "submit":
            # For tomorrow: no message is written, and no worker is there to be measured with.
            body = {"kind": "echo", "input": _INPUT, "run_at": _in(days=1)}
            return [Request(f"{root}/submit", headers, json.dumps(body))]
        if work == "read":
            return [Request(f"{root}/status/{id}", headers) for id in self.ids]
        return [Request(f"{root}/list?limit=50&{asked}", headers) for asked in _asked()]

    def run(self, work: str, seconds: int) -> Load:
        """What PostgreSQL does for it is nobody else's."""
        load = run_wrk(self.requests(work), connections=_CONNECTIONS, seconds=seconds, servers=[self.server.process])
        return replace(load, others_cpu_share=None)


def finished(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """The same service with few and with many, in turns; then with many while a worker deletes the oldest."""
    sides = {"few": Side(*stage.tasks("few", FEW)), "many": Side(*stage.tasks("many", stage.finished))}
    runs = in_turns([partial(_all_work, side, label, seconds) for label, side in sides.items()], rounds)
    before = stage.count_finished("many")
    with stage.deleting("many", days=DAYS // 2):
        runs |= in_turns([partial(_beside_deletes, sides["many"], seconds)], replace(rounds, until=float("inf")))
    deleted = before - stage.count_finished("many")
    work = f"submits, reads and pages of lists beside {stage.finished:,} finished tasks, and beside {FEW:,}"
    return Row("T4", work, runs, [*_figures(runs), Figure("deleted meanwhile", [deleted])])


def _all_work(side: Side, label: str, seconds: int) -> Mapping[str, Load]:
    return {f"{label}: {work}": side.run(work, seconds) for work in WORK}


def _beside_deletes(side: Side, seconds: int) -> Mapping[str, Load]:
    return {"many: submit beside deletes": side.run("submit", seconds)}


def _figures(runs: Runs) -> list[Figure]:
    found = [
        Figure(f"{work}: many / few", ratios(runs, f"many: {work}", f"few: {work}"), at_least=_SAME) for work in WORK
    ]
    found += [
        Figure(f"{work}: p99, many / few", ratios(runs, f"many: {work}", f"few: {work}", p99), at_most=_SLOWER_P99)
        for work in WORK
    ]
    beside, alone = (_median(runs[f"many: {name}"], _rate) for name in ("submit beside deletes", "submit"))
    return [*found, Figure("submit: beside deletes / without", [beside / alone])]


def _rate(load: Load) -> float:
    return load.requests_per_second


def _median(loads: Sequence[Load], of: Callable[[Load], float]) -> float:
    return statistics.median(of(load) for load in loads)


def _asked() -> list[str]:
    """Each filter of the list: of what there is much of, little and nothing."""
    return [
        "",
        *(f"status={status}" for status in ("succeeded", "failed", "expired", "running")),
        *(f"kind={kind}" for kind in ("echo", "agent.run", "vectors.copy")),
        *(f"priority={priority}" for priority in ("normal", "high")),
        *(f"error_code={code}" for code in ("common.unavailable", RARE_ERROR)),
        *(f"{name}={value}" for name in ("dead_letter", "unsettled") for value in ("true", "false")),
        f"parent_id={PARENT}",
        f"created_before={quote(_in(days=2 - DAYS))}",
        f"created_after={quote(_in(days=-3))}",
        "status=failed&kind=agent.run",
    ]


def _in(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()
