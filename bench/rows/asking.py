"""The ways to ask in V1: what is sent, and how much of what is true comes back."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import numpy as np
import psutil

from bench.corpus import NEAREST, QUERIES, Found
from bench.kept import CHROMA, EDGE, FAISS, Kept
from bench.load import Request, run_wrk
from bench.row import Load
from bench.rows.contenders import Contender

CONNECTIONS, MANY, BATCH = 8, 32, 64
SHARES = (1, 10, 50)
_BYTES = {"Content-Type": "application/octet-stream"}
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Way:
    """Requests, the true neighbours that each asks for (of each search in it), and how to read them from an answer."""

    name: str
    requests: Sequence[Request]
    truth: Sequence[Found]
    found: Callable[[Any], Found]
    connections: int = CONNECTIONS

    @property
    def searches(self) -> int:
        """In one request."""
        return len(self.truth[0])

    def recall(self) -> float:
        """How many of the true neighbours come, asked once."""
        hits = 0
        with httpx.Client(timeout=30) as client:
            for request, truth in zip(self.requests, self.truth, strict=True):
                answer = client.post(request.url, headers=request.headers, content=request.body).raise_for_status()
                pairs = zip(self.found(answer.json()), truth, strict=True)
                hits += sum(len(set(found) & set(true)) for found, true in pairs)
        return hits / (len(self.requests) * self.searches * NEAREST)

    def contender(self, servers: Sequence[psutil.Process], seconds: int) -> Contender:
        """Counted by searches."""
        return lambda: {self.name: self._counted(self._run(servers, seconds))}

    def _run(self, servers: Sequence[psutil.Process], seconds: int) -> Load:
        return run_wrk(self.requests, connections=self.connections, seconds=seconds, servers=servers)

    def _counted(self, load: Load) -> Load:
        rate, cpu = load.requests_per_second * self.searches, (load.cpu_us_per_request or 0.0) / self.searches
        return replace(load, requests_per_second=rate, cpu_us_per_request=cpu)


def ways_of_ours(kept: Kept) -> list[Way]:
    truth = kept.corpus.truth
    plain = _ours("ours", kept, FAISS, _as_json, truth)
    return [
        plain,
        replace(plain, name="ours, one caller", connections=1),
        _ours("ours, bytes", kept, FAISS, _as_bytes, truth),
        _batches("ours, 64 in one", kept),
        *(
            _ours(f"ours, {share} %", kept, FAISS, _as_json, kept.corpus.truth_within(share), _share(share))
            for share in SHARES
        ),
        _ours("ours on Edge", kept, EDGE, _as_json, truth),
    ]


def ways_of_chroma(kept: Kept) -> list[Way]:
    """What ours answers with: the id, the text, the metadata and how near it is."""
    more = {"n_results": NEAREST, "include": ["documents", "metadatas", "distances"]}
    bodies = [json.dumps({"query_embeddings": [query.tolist()], **more}) for query in kept.corpus.queries]
    requests = [Request(f"{kept.chroma_url(CHROMA)}/query", _JSON, body) for body in bodies]
    plain = Way("chroma", requests, [[one] for one in kept.corpus.truth], _found_by_chroma)
    return [
        plain,
        replace(plain, name="chroma, one caller", connections=1),
        replace(plain, name=f"chroma, {MANY} callers", connections=MANY),
    ]


def _share(percent: int) -> dict[str, Any]:
    return {"filter": {"field": "percent", "op": "lt", "value": percent}}


def _ours(
    name: str,
    kept: Kept,
    collection: str,
    written: Callable[..., tuple[dict[str, str], str | bytes]],
    truth: Found,
    more: Mapping[str, Any] | None = None,
) -> Way:
    url, asked = f"{kept.url}/api/v1/vectors/search", {"collection": collection, "k": NEAREST, **(more or {})}
    made = [written(asked, query) for query in kept.corpus.queries]
    requests = [Request(url, {**kept.headers, **kind}, body) for kind, body in made]
    return Way(name, requests, [[one] for one in truth], lambda answer: [_ids(answer)])


def _as_json(asked: Mapping[str, Any], query: Any) -> tuple[dict[str, str], str]:
    return _JSON, json.dumps({**asked, "vector": query.tolist()})


def _as_bytes(asked: Mapping[str, Any], query: Any) -> tuple[dict[str, str], bytes]:
    header = json.dumps(asked).encode()
    return _BYTES, len(header).to_bytes(8, "little") + header + query.astype("<f4").tobytes()


def _batches(name: str, kept: Kept) -> Way:
    url, asked = f"{kept.url}/api/v1/vectors/search/batch", {"collection": FAISS, "k": NEAREST}
    coded = [base64.b64encode(query.astype("<f4").tobytes()).decode() for query in kept.corpus.queries]
    groups = [np.arange(first, first + BATCH) % QUERIES for first in range(0, QUERIES, BATCH)]
    bodies = [json.dumps({"searches": [{**asked, "vector": coded[at]} for at in group]}) for group in groups]
    requests = [Request(url, {**kept.headers, **_JSON}, body) for body in bodies]
    truth = [[kept.corpus.truth[at] for at in group] for group in groups]
    return Way(name, requests, truth, lambda answer: [_ids(one) for one in answer["results"]], connections=1)


def _ids(answer: Any) -> list[int]:
    return [int(one["id"]) for one in answer["results"]]


def _found_by_chroma(answer: Any) -> Found:
    return [[int(one) for one in ids] for ids in answer["ids"]]
