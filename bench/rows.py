"""The rows of the table: what is compared, in which order, and what the ratio means."""

import json
import os
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import httpx
import psutil
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.load import Load, Request, run_wrk, serving

ECHO = {"id": 7, "tags": ["a", "b", "c"], "text": "x" * 960}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the runs of every contender, round by round."""

    id: str
    work: str
    runs: dict[str, list[Load]]

    def ratios(self, ours: str, other: str) -> list[float]:
        """Requests per second of `ours` over `other`, within each round."""
        pairs = zip(self.runs[ours], self.runs[other], strict=True)
        return [a.requests_per_second / b.requests_per_second for a, b in pairs]

    def as_json(self) -> dict[str, object]:
        runs = {name: [asdict(load) for load in loads] for name, loads in self.runs.items()}
        return {"id": self.id, "work": self.work, "runs": runs}


def spread(values: list[float]) -> str:
    """Median with its extremes."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def median(loads: list[Load], of: Callable[[Load], float]) -> float:
    return statistics.median(of(load) for load in loads)


def in_turns(contenders: dict[str, Callable[[], Load]], rounds: int) -> dict[str, list[Load]]:
    """A B C A B C …: the machine's drift meets all of them alike. One round beforehand warms up and is dropped."""
    runs: dict[str, list[Load]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            load = run()
            if number:
                runs[name].append(load)
    return runs


def echo(rounds: int, seconds: int) -> Row:
    """H1: our defaults with a verified token, against bare FastAPI and against bytes copied, on the same server."""
    environment = {**os.environ, "BENCH_KEY": Ed25519PrivateKey.generate().private_bytes_raw().hex()}
    os.environ["BENCH_KEY"] = environment["BENCH_KEY"]
    from bench.apps import token

    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token()}"}
    with ExitStack() as stack:
        contenders = {}
        for name in ("ours", "bare", "raw"):
            url, process = stack.enter_context(serving(f"bench.apps:{name}", environment))
            request = Request(f"{url}/api/v1/bench/echo", headers, json.dumps(ECHO))
            contenders[name] = _contender(request, [process], connections=32, seconds=seconds)
        return Row("H1", "echo POST 1 KB, 32 connections", in_turns(contenders, rounds))


def hop(rounds: int, seconds: int, gateway_url: str, direct_url: str, servers: list[psutil.Process]) -> Row:
    """K1: the same request through the gateway and straight to the service, one connection."""
    path = "/api/v1/auth/jwks.json"
    for base in (gateway_url, direct_url):
        httpx.get(base + path, timeout=5).raise_for_status()
    contenders = {
        name: _contender(Request(base + path, {}), servers, connections=1, seconds=seconds)
        for name, base in (("gateway", gateway_url), ("direct", direct_url))
    }
    return Row("K1", "GET public keys, 1 connection", in_turns(contenders, rounds))


def _contender(
    request: Request, servers: list[psutil.Process], *, connections: int, seconds: int
) -> Callable[[], Load]:
    return lambda: run_wrk(request, connections=connections, seconds=seconds, servers=servers)
