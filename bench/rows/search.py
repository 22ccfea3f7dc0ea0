"""V1: searches, of our service and of those that have nothing to do but search."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import numpy as np

from bench.corpus import NEAREST, QUERIES
from bench.kept import CHROMA, EDGE, FAISS, Kept
from bench.load import Request, run_wrk
from bench.paced import paced
from bench.row import Figure, Load, Row, Runs, in_turns, ratios
from bench.rows.contenders import Contender
from bench.stage import Stage

CONNECTIONS, BATCH, LOOKS = 8, 64, 50
SHARES = (1, 10, 50)
_BYTES = {"Content-Type": "application/octet-stream"}
_JSON = {"Content-Type": "application/json"}


def search(stage: Stage, rounds: int, seconds: int) -> Row:
    """Every way to ask ours, Chroma's own server, and FAISS and Qdrant Edge on one thread with nobody in between."""
    kept, service = stage.kept, stage.vectors
    recalls: dict[str, float] = {}

    def over_http(name: str, requests: Sequence[Request], found: Callable[[Any], list[int]], at_once: int) -> Contender:
        servers = [stage.chroma] if name.startswith("chroma") else [service.process, *service.process.children()]
        if name not in recalls and "%" not in name and "64" not in name:
            recalls[name] = _recall(kept, requests, found)
        return lambda: {name: run_wrk(requests, connections=at_once, seconds=seconds, servers=servers)}

    json_requests = _ours(kept, FAISS, _as_json)
    contenders: list[Contender] = [
        over_http("ours", json_requests, _found_ours, CONNECTIONS),
        over_http("ours, one caller", json_requests, _found_ours, 1),
        over_http("ours, bytes", _ours(kept, FAISS, _as_bytes), _found_ours, CONNECTIONS),
        _times(BATCH, over_http("ours, 64 in one", _batches(kept), _found_ours, 1)),
        *(
            over_http(f"ours, {share} %", _ours(kept, FAISS, _as_json, _share(share)), _found_ours, CONNECTIONS)
            for share in SHARES
        ),
        over_http("ours on Edge", _ours(kept, EDGE, _as_json), _found_ours, CONNECTIONS),
        over_http("chroma", _chroma(kept), _found_by_chroma, CONNECTIONS),
        over_http("chroma, one caller", _chroma(kept), _found_by_chroma, 1),
    ]
    for kind, engine in stage.engines.items():
        recalls[f"raw {kind}"] = engine.recall
        contenders.append(lambda kind=kind, engine=engine: {f"raw {kind}": engine.search(seconds)})
    contenders.append(lambda: _alive_beside(stage, json_requests, seconds))
    runs = in_turns(contenders, rounds)
    work = f"the {NEAREST} nearest of {kept.corpus.count:,} x {kept.corpus.dimension}, {CONNECTIONS} connections"
    return Row("V1", work, runs, [*_figures(runs, kept), *_recalls(recalls)])


def _figures(runs: Runs, kept: Kept) -> list[Figure]:
    beyond = [load.rss_mib - kept.mib for load in runs["ours"] if load.rss_mib]
    return [
        Figure("ours / graph of FAISS", ratios(runs, "ours", "raw graph"), at_least=0.35),
        Figure("ours, bytes / graph", ratios(runs, "ours, bytes", "raw graph"), at_least=0.60),
        Figure("ours, 64 in one / graph", ratios(runs, "ours, 64 in one", "raw graph"), at_least=0.90),
        Figure("ours / FAISS comparing all", ratios(runs, "ours", "raw flat")),
        Figure("ours, 64 in one / comparing all", ratios(runs, "ours, 64 in one", "raw flat")),
        Figure("ours / Chroma", ratios(runs, "ours", "chroma"), at_least=3.0),
        Figure("the same, one caller", ratios(runs, "ours, one caller", "chroma, one caller")),
        Figure("ours on Edge / raw Edge", ratios(runs, "ours on Edge", "raw edge")),
        *(Figure(f"{share} % / all", ratios(runs, f"ours, {share} %", "ours"), at_least=0.5) for share in SHARES),
        Figure("alive, p99 in ms", [load.p99_us / 1000 for load in runs["alive beside"]], at_most=50),
        Figure("MiB beyond the vectors", beyond, at_most=300 + 0.3 * kept.mib),
    ]


def _recalls(recalls: Mapping[str, float]) -> list[Figure]:
    return [Figure(f"recall of {name}", [value], at_least=0.95) for name, value in recalls.items()]


def _recall(kept: Kept, requests: Sequence[Request], found: Callable[[Any], list[int]]) -> float:
    """How many of the true neighbours come, asked once."""
    hits = 0
    with httpx.Client(timeout=30) as client:
        for request, truth in zip(requests, kept.corpus.truth, strict=True):
            answer = client.post(request.url, headers=request.headers, content=request.body).raise_for_status()
            hits += len(set(found(answer.json())) & set(truth.tolist()))
    return hits / (QUERIES * NEAREST)


def _alive_beside(stage: Stage, requests: Sequence[Request], seconds: int) -> dict[str, Load]:
    """`/health/live` while as much is searched as goes."""
    with paced(f"{stage.vectors.url}/health/live", [{}], rate=LOOKS, seconds=seconds) as client:
        client.begin()
        run_wrk(requests, connections=4 * CONNECTIONS, seconds=seconds, servers=[stage.vectors.process])
        return {"alive beside": client.result()}


def _times(number: int, contender: Contender) -> Contender:
    """Counted by what each request asks for."""

    def run() -> Mapping[str, Load]:
        return {
            name: replace(
                load,
                requests_per_second=load.requests_per_second * number,
                cpu_us_per_request=(load.cpu_us_per_request or 0.0) / number,
            )
            for name, load in contender().items()
        }

    return run


# --- What is sent -----------------------------------------------------------------------------------------------------


def _share(percent: int) -> dict[str, Any]:
    return {"filter": {"field": "percent", "op": "lt", "value": percent}}


def _ours(
    kept: Kept, collection: str, written: Callable[..., tuple[dict[str, str], str | bytes]], more: Any = None
) -> list[Request]:
    url, asked = f"{kept.url}/api/v1/vectors/search", {"collection": collection, "k": NEAREST, **(more or {})}
    made = [written(asked, query) for query in kept.corpus.queries]
    return [Request(url, {**kept.headers, **kind}, body) for kind, body in made]


def _as_json(asked: Mapping[str, Any], query: Any) -> tuple[dict[str, str], str]:
    return _JSON, json.dumps({**asked, "vector": query.tolist()})


def _as_bytes(asked: Mapping[str, Any], query: Any) -> tuple[dict[str, str], bytes]:
    header = json.dumps(asked).encode()
    return _BYTES, len(header).to_bytes(8, "little") + header + query.astype("<f4").tobytes()


def _batches(kept: Kept) -> list[Request]:
    url, asked = f"{kept.url}/api/v1/vectors/search/batch", {"collection": FAISS, "k": NEAREST}
    coded = [base64.b64encode(query.astype("<f4").tobytes()).decode() for query in kept.corpus.queries]
    groups = [np.roll(coded, -at)[:BATCH].tolist() for at in range(0, QUERIES, BATCH)]
    bodies = [json.dumps({"searches": [{**asked, "vector": vector} for vector in group]}) for group in groups]
    return [Request(url, {**kept.headers, **_JSON}, body) for body in bodies]


def _chroma(kept: Kept) -> list[Request]:
    """What ours answers with: the id, the text, the metadata and how near it is."""
    more = {"n_results": NEAREST, "include": ["documents", "metadatas", "distances"]}
    bodies = [json.dumps({"query_embeddings": [query.tolist()], **more}) for query in kept.corpus.queries]
    return [Request(f"{kept.chroma_url(CHROMA)}/query", _JSON, body) for body in bodies]


def _found_ours(answer: Any) -> list[int]:
    return [int(one["id"]) for one in answer["results"]]


def _found_by_chroma(answer: Any) -> list[int]:
    return [int(one) for one in answer["ids"][0]]
