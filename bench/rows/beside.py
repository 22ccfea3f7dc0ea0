"""V3: whether the service answers others while one caller brings a hundred megabytes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from bench.kept import Kept
from bench.paced import paced
from bench.row import Figure, Load, Rounds, Row, Runs, in_turns
from bench.servers import cpu_seconds
from bench.stage import Stage

LOOKS, MOST_SECONDS = 50, 120
BATCH, BROUGHT = 500, 100_000_000
_FILES = "/api/v1/vectors/files"
_LINE = b"A line of a file that is as long as a line of a book, and says nothing that is worth to be remembered.\n"


def beside(stage: Stage, rounds: Rounds, seconds: int) -> Row:  # noqa: ARG001 - as much takes as long as it takes
    """`/health/live`, asked fifty times a second: beside records in bytes, and beside an uploaded file."""
    kept = stage.kept
    bodies = list(_bodies(kept))
    runs = in_turns(
        [
            lambda: _watched(stage, "records", lambda: _store(kept, bodies)),
            lambda: _watched(stage, "a file", lambda: _upload(kept)),
        ],
        rounds,
    )
    return Row("V3", f"/health/live while {BROUGHT / 10**6:.0f} MB are brought by one caller", runs, _figures(runs))


def _figures(runs: Runs) -> list[Figure]:
    return [
        Figure(f"beside {what}, p99 in ms", [load.p99_us / 1000 for load in runs[f"beside {what}"]], at_most=50)
        for what in ("records", "a file")
    ]


def _watched(stage: Stage, what: str, bring: Callable[[], None]) -> dict[str, Load]:
    """What was brought counts by megabytes; `/health/live` by its answers."""
    server = [stage.vectors.process]
    with paced(f"{stage.vectors.url}/health/live", [{}], rate=LOOKS, seconds=MOST_SECONDS) as client:
        client.begin()
        began, own, spent = time.perf_counter(), time.process_time(), cpu_seconds(server)
        bring()
        taken, own = time.perf_counter() - began, time.process_time() - own
        client.end()
        each = (cpu_seconds(server) - spent) * 1e12 / BROUGHT
        brought = Load(BROUGHT / 10**6 / taken, taken * 1e6, taken * 1e6, own / taken, each)
        return {f"MB of {what}": brought, f"beside {what}": client.result()}


def _bodies(kept: Kept) -> Iterator[bytes]:
    """As many as have a hundred megabytes; from a small corpus some come again."""
    left = BROUGHT
    while left > 0:
        for _, body in kept.byte_batches(BATCH, kept.corpus.count):
            yield body
            left -= len(body)
            if left <= 0:
                return


def _store(kept: Kept, bodies: list[bytes]) -> None:
    kind = {"Content-Type": "application/octet-stream"}
    with _client(kept) as client, kept.fresh("faiss") as fresh:
        for body in bodies:
            client.post("/api/v1/vectors/store", headers=kind, content=fresh.named(body)).raise_for_status()


def _upload(kept: Kept) -> None:
    with _client(kept) as client:
        file = ("book.txt", _LINE * (BROUGHT // len(_LINE)), "text/plain")
        kept_as = client.post(_FILES, files={"file": file}).raise_for_status().json()["id"]
        client.delete(f"{_FILES}/{kept_as}").raise_for_status()


@contextmanager
def _client(kept: Kept) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=kept.url, headers=kept.headers, timeout=MOST_SECONDS) as client:
        yield client
