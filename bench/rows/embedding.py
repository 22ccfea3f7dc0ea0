"""V4: texts made into vectors, by the service and by its model alone."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from bench.corpus import Corpus
from bench.kept import Kept
from bench.row import Figure, Load, Rounds, Row, in_turns, ratios
from bench.servers import cpu_seconds
from bench.stage import Stage
from local.layout import REPOSITORY

TEXTS = 48
_SECONDS = 60
_LENGTH_CHARS = 120


def embedding(stage: Stage, rounds: Rounds, seconds: int) -> Row:  # noqa: ARG001 - as much takes as long as it takes
    """A request of texts that nobody sent before, and the same texts on as many threads."""
    kept = stage.kept
    sent, made = _batches(kept.corpus), _batches(kept.corpus)
    with _model() as model:
        contenders = [
            lambda: {"ours": _sent(stage, kept, next(sent))},
            lambda: {"the model": _made(model, next(made))},
        ]
        runs = in_turns(contenders, rounds)
    figures = [Figure("ours / the model", ratios(runs, "ours", "the model"), at_least=0.9)]
    return Row("V4", f"{TEXTS} texts of {_LENGTH_CHARS} characters embedded in one request", runs, figures)


def _batches(corpus: Corpus) -> Iterator[list[str]]:
    """Of texts that are all as long, so that a round is as much work as the next."""
    texts = (corpus.text(at % corpus.count) for at in itertools.count())
    for number in itertools.count():
        words = " ".join(itertools.islice(texts, 2 * TEXTS))
        parts = [words[at * _LENGTH_CHARS :][: _LENGTH_CHARS - 8] for at in range(TEXTS)]
        yield [f"{number:03}.{at:03} {part}" for at, part in enumerate(parts)]


def _sent(stage: Stage, kept: Kept, texts: list[str]) -> Load:
    server = [stage.vectors.process]
    with httpx.Client(base_url=kept.url, headers=kept.headers, timeout=_SECONDS) as client:
        began, own, spent = time.perf_counter(), time.process_time(), cpu_seconds(server)
        body = {"model": "multilingual-e5-small", "input": texts}
        client.post("/api/v1/embeddings", json=body).raise_for_status()
        taken, own = time.perf_counter() - began, time.process_time() - own
    return _load(taken, cpu_seconds(server) - spent, own)


def _made(model: "subprocess.Popen[str]", texts: list[str]) -> Load:
    assert model.stdin
    assert model.stdout
    model.stdin.write(json.dumps(texts) + "\n")
    model.stdin.flush()
    found = json.loads(model.stdout.readline())
    return _load(found["seconds"], found["cpu_seconds"], 0.0)


def _load(taken: float, cpu: float, own: float) -> Load:
    return Load(TEXTS / taken, taken * 1e6, taken * 1e6, own / taken, cpu * 1e6 / TEXTS)


@contextmanager
def _model() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "bench.apps.embedding"]
    process = subprocess.Popen(command, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)
