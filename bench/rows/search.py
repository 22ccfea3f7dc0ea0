"""V1: searches, of our service and of those that have nothing to do but search."""

import time
from collections.abc import Mapping, Sequence

import psutil

from bench.corpus import NEAREST
from bench.kept import Kept
from bench.load import run_wrk
from bench.paced import paced
from bench.row import Figure, Load, Rounds, Row, Runs, in_turns, ratios
from bench.rows.asking import CONNECTIONS, MANY, SHARES, Way, ways_of_chroma, ways_of_ours
from bench.stage import Stage

LOOKS = 50
_GRAPH_SECONDS, _LOOK_SECONDS, _IDLE_PERCENT = 600.0, 2.0, 15.0


def search(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """Every way to ask ours, Chroma's own server, the databases, and the engines with nobody in between."""
    service, engines, kept = stage.vectors, stage.engines, stage.kept  # the engines fill themselves beside ours
    ours, chroma = ways_of_ours(kept), ways_of_chroma(kept)
    _have_graph(ours[0], service.process)
    recalls = {way.name: way.recall() for way in (*ours, chroma[0])}
    recalls |= {f"{name}{one.effort}": one.filled["recall"] for name, one in engines.items()}
    contenders = [
        *(way.contender([service.process, *service.process.children()], seconds) for way in ours),
        *(way.contender([stage.chroma], seconds) for way in chroma),
        *(lambda name=name, one=one: {name: one.search(seconds)} for name, one in engines.items()),
        lambda: _many(stage, ours[0], seconds),
    ]
    runs = in_turns(contenders, rounds)
    work = f"the {NEAREST} nearest of {kept.corpus}, {CONNECTIONS} connections where nothing else is said"
    return Row("V1", work, runs, [*_figures(runs), *_memory(stage, kept), *_recalls(recalls)])


def _have_graph(way: Way, process: psutil.Process) -> None:
    """The first searches have one made beside them: it is there when the service has nothing more to do.

    Raises TimeoutError where that is never: what is measured beside it would be no graph's.
    """
    way.recall()
    deadline = time.monotonic() + _GRAPH_SECONDS
    while process.cpu_percent(_LOOK_SECONDS) > _IDLE_PERCENT:
        if time.monotonic() >= deadline:
            raise TimeoutError(f"no graph after {_GRAPH_SECONDS:.0f} seconds: the service is still busy")


def _figures(runs: Runs) -> list[Figure]:
    return [
        Figure("ours / graph of FAISS", ratios(runs, "ours", "raw graph"), at_least=0.35),
        Figure("ours, bytes / graph", ratios(runs, "ours, bytes", "raw graph"), at_least=0.60),
        Figure("ours, 64 in one / graph", ratios(runs, "ours, 64 in one", "raw graph"), at_least=0.90),
        Figure("ours / FAISS comparing all", ratios(runs, "ours", "raw flat")),
        Figure("ours, 64 in one / comparing all", ratios(runs, "ours, 64 in one", "raw flat")),
        Figure("ours / Chroma", ratios(runs, "ours", "chroma"), at_least=3.0),
        Figure(f"the same, {MANY} callers", ratios(runs, *_of_many("ours", "chroma")), at_least=3.0),
        Figure("the same, one caller", ratios(runs, "ours, one caller", "chroma, one caller")),
        Figure("ours / LanceDB", ratios(runs, "ours", "lancedb")),
        Figure("ours / pgvector", ratios(runs, "ours", "pgvector")),
        Figure("ours on Edge / raw Edge", ratios(runs, "ours on Edge", "raw edge")),
        *(Figure(f"{share} % / all", ratios(runs, f"ours, {share} %", "ours"), at_least=0.5) for share in SHARES),
        Figure("alive beside, p99 in ms", [load.p99_us / 1000 for load in runs["alive beside"]], at_most=50),
    ]


def _of_many(one: str, other: str) -> tuple[str, str]:
    return f"{one}, {MANY} callers", f"{other}, {MANY} callers"


def _memory(stage: Stage, kept: Kept) -> list[Figure]:
    """What is in memory after all this. The service keeps what is on FAISS, Edge's process what is on Edge."""
    beyond, edge = stage.service_mib() - 1.3 * kept.mib, stage.edge_mib() - 1.3 * kept.mib
    return [
        Figure("MiB beyond 1.3 x the vectors", [beyond], at_most=300),
        Figure("the same of Edge's process", [edge], at_most=300),
    ]


def _recalls(recalls: Mapping[str, float]) -> Sequence[Figure]:
    return [Figure(f"recall of {name}", [value], at_least=0.95) for name, value in recalls.items()]


def _many(stage: Stage, way: Way, seconds: int) -> dict[str, Load]:
    """As much as many callers search, and `/health/live` meanwhile."""
    with paced(f"{stage.vectors.url}/health/live", [{}], rate=LOOKS, seconds=seconds) as client:
        client.begin()
        load = run_wrk(way.requests, connections=MANY, seconds=seconds, servers=[stage.vectors.process])
        return {f"ours, {MANY} callers": load, "alive beside": client.result()}
