"""T1 to T3: tasks submitted, tasks done, and how soon one begins; beside Celery, Taskiq and Procrastinate."""

import statistics
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from bench.inserts import run_inserts
from bench.load import run_wrk
from bench.paced import paced
from bench.row import Figure, Load, Rounds, Row, Runs, in_turns, p99, ratios
from bench.stage import Stage
from bench.tasking import TaskSystem, watched

SUBMITTERS, READERS, RATE, READ = 32, 8, 200, 500
_LIKE_CELERY, _LIKE_TASKIQ, _LIKE_PROCRASTINATE = 2.0, 1.2, 5.0


def submit(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """T1: nobody takes what is submitted."""
    url = stage.raw_table()
    with stage.task_systems(work=False) as systems:
        raw = [lambda: {"raw x32": run_inserts(url, callers=SUBMITTERS, seconds=seconds)}]
        raw.append(lambda: {"raw x1": run_inserts(url, callers=1, seconds=seconds)})
        runs = in_turns([*(partial(_submitted, each, seconds) for each in systems), *raw], rounds)
    figures = [
        Figure("ours / INSERT x32", ratios(runs, "ours", "raw x32"), at_least=1.0),
        Figure("ours / INSERT x1", ratios(runs, "ours", "raw x1")),
        *_beside(runs, {"Celery": 2.0, "Taskiq": None, "Procrastinate": None}),
    ]
    return Row("T1", "submits of tasks of 200 B, 32 connections", runs, figures)


def done(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """T2: submitted as fast as it goes, until the last one is done."""
    with stage.task_systems(work=True) as systems:
        runs = in_turns([partial(_done, each, seconds) for each in systems], rounds)
    wanted = {"Celery": _LIKE_CELERY, "Taskiq": _LIKE_TASKIQ, "Procrastinate": _LIKE_PROCRASTINATE}
    rate = [load.requests_per_second for load in runs["ours"]]
    figures = [*_beside(runs, wanted), Figure("ours, a second", rate, at_least=1_000)]
    return Row("T2", "tasks that do nothing, from submit to their end in PostgreSQL", runs, figures)


def begun(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """T3: so many a second; then their states are read, with all that were done before still there."""
    with stage.task_systems(work=True) as systems:
        runs = in_turns([partial(_begun, each, seconds) for each in systems], rounds)
    figures = [
        Figure("ours, p50 in ms", [load.p50_us / 1000 for load in runs["ours"]], at_most=8),
        Figure("ours, p99 in ms", [load.p99_us / 1000 for load in runs["ours"]], at_most=40),
        *(Figure(f"p50, {name} / ours", ratios(runs, name, "ours", _p50)) for name in _peers(runs)),
        Figure("status, p99 in ms", [load.p99_us / 1000 for load in runs["ours: status"]], at_most=20),
        *(Figure(f"status p99, {name} / ours", _status(runs, name)) for name in _peers(runs)),
    ]
    return Row("T3", f"submit to start at {RATE}/s, and status reads over {READERS} connections", runs, figures)


def _submitted(system: TaskSystem, seconds: int) -> Mapping[str, Load]:
    with watched(system) as spent:
        load = run_wrk([system.request], connections=SUBMITTERS, seconds=seconds, servers=[system.api.process])
    return {system.name: spent.told(load, load.requests or 1)}


def _done(system: TaskSystem, seconds: int) -> Mapping[str, Load]:
    """A second here is one until the last has ended; p50 and p99 are of the submits."""
    before = system.count_ended()
    with watched(system) as spent:
        load = run_wrk([system.request], connections=SUBMITTERS, seconds=seconds, servers=[system.api.process])
        count = load.requests or 1
        system.drained(before + count)
    return {system.name: replace(spent.told(load, count), requests_per_second=count / spent.elapsed)}


def _begun(system: TaskSystem, seconds: int) -> Mapping[str, Load]:
    """p50 and p99 are from submit to start."""
    before, request = system.count_ended(), system.request
    with (
        watched(system) as spent,
        paced(request.url, [request.headers], rate=RATE, seconds=seconds, body=str(request.body)) as client,
    ):
        client.begin()
        load = client.result()
        system.drained(before + RATE * seconds)
    cuts = statistics.quantiles(system.waits(RATE * seconds), n=100)
    told = replace(spent.told(load, RATE * seconds), p50_us=cuts[49] * 1e6, p99_us=cuts[98] * 1e6)
    with watched(system) as spent:
        read = run_wrk(system.reads(READ), connections=READERS, seconds=seconds, servers=[system.api.process])
    return {system.name: told, f"{system.name}: status": spent.told(read, read.requests or 1)}


def _beside(runs: Runs, wanted: Mapping[str, float | None]) -> list[Figure]:
    found = [Figure(f"ours / {name}", ratios(runs, "ours", name), at_least=least) for name, least in wanted.items()]
    return [*found, *(Figure(f"CPU, {name} / ours", ratios(runs, name, "ours", _cpu)) for name in wanted)]


def _peers(runs: Runs) -> list[str]:
    return [name for name in runs if name != "ours" and ":" not in name]


def _status(runs: Runs, name: str) -> list[float]:
    return ratios(runs, f"{name}: status", "ours: status", p99)


def _p50(load: Load) -> float:
    return load.p50_us


def _cpu(load: Load) -> float:
    return load.cpu_us_per_request or 0.0
