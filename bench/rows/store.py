"""V2: storing until it is durable and can be searched."""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import quantiles
from typing import Any

import httpx
import psutil

from bench.kept import Kept
from bench.load import not_busy
from bench.row import Figure, Load, Rounds, Row, Runs, in_turns, ratios
from bench.rows.contenders import Contender
from bench.servers import cpu_seconds, rss_mib
from bench.stage import Stage

BATCH, MOST = 500, 10_000


def store(stage: Stage, rounds: Rounds, seconds: int) -> Row:  # noqa: ARG001 - as much takes as long as it takes
    """A fresh collection of ten thousand records with three fields each, five hundred at a time, by one caller.

    Chroma's own server keeps no index of words and answers before its graph is made; raw FAISS keeps nothing on disk.
    LanceDB compares what is new with every query until somebody has its graph made; pgvector keeps its graph up.
    """
    service, engines, kept = stage.vectors, stage.engines, stage.kept
    ours = [service.process, *service.process.children()]
    contenders: list[Contender] = [
        _filled("ours, JSON", ours, kept, "faiss", kept.json_batches(BATCH, MOST)),
        _filled("ours, bytes", ours, kept, "faiss", kept.byte_batches(BATCH, MOST)),
        _filled("ours on Edge, bytes", ours, kept, "qdrant", kept.byte_batches(BATCH, MOST)),
        _chroma_filled("chroma", [stage.chroma], kept),
        *(lambda name=name, engine=engine: {name: engine.store(BATCH, MOST)} for name, engine in engines.items()),
    ]
    runs = in_turns(contenders, rounds)
    return Row("V2", f"store {kept.stored(MOST):,} x {kept.corpus.dimension}, {BATCH} at a time", runs, _figures(runs))


def _figures(runs: Runs) -> list[Figure]:
    return [
        Figure("ours, bytes / graph of FAISS", ratios(runs, "ours, bytes", "raw graph"), at_least=0.80),
        Figure("ours on Edge / raw Edge", ratios(runs, "ours on Edge, bytes", "raw edge")),
        Figure("ours, bytes / Chroma", ratios(runs, "ours, bytes", "chroma"), at_least=5.0),
        Figure("ours, bytes / LanceDB", ratios(runs, "ours, bytes", "lancedb")),
        Figure("ours, bytes / pgvector", ratios(runs, "ours, bytes", "pgvector")),
        Figure("ours, JSON / bytes", ratios(runs, "ours, JSON", "ours, bytes")),
    ]


def _filled(
    name: str, servers: Sequence[psutil.Process], kept: Kept, engine: str, batches: Sequence[tuple[dict[str, str], Any]]
) -> Contender:
    def run() -> dict[str, Load]:
        with httpx.Client(base_url=kept.url, headers=kept.headers, timeout=60) as client, kept.fresh(engine) as fresh:
            post = partial(client.post, "/api/v1/vectors/store")
            calls = [partial(post, headers=kind, content=fresh.named(body)) for kind, body in batches]
            load = _timed(calls, servers, kept.stored(MOST))
        return {name: load}

    return run


def _chroma_filled(name: str, servers: Sequence[psutil.Process], kept: Kept) -> Contender:
    bodies = [json.dumps(body) for body in kept.chroma_batches(BATCH, MOST)]

    def run() -> dict[str, Load]:
        headers = {"Content-Type": "application/json"}
        with httpx.Client(headers=headers, timeout=60) as client, kept.fresh_in_chroma() as url:
            calls = [partial(client.post, f"{url}/upsert", content=body) for body in bodies]
            load = _timed(calls, servers, kept.stored(MOST))
        return {name: load}

    return run


def _timed(calls: Sequence[Callable[[], httpx.Response]], servers: Sequence[psutil.Process], records: int) -> Load:
    before, client_before, taken = cpu_seconds(servers), time.process_time(), list[float]()
    for call in calls:
        began = time.perf_counter()
        call().raise_for_status()
        taken.append(time.perf_counter() - began)
    cuts = quantiles(taken, n=100, method="inclusive") if len(taken) > 1 else taken * 99
    return Load(
        requests_per_second=records / sum(taken),
        p50_us=cuts[49] * 1e6,
        p99_us=cuts[98] * 1e6,
        client_cpu_share=not_busy((time.process_time() - client_before) / sum(taken)),
        cpu_us_per_request=(cpu_seconds(servers) - before) * 1e6 / records,
        rss_mib=rss_mib(servers),
    )
