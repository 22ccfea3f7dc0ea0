"""V4 and E1: texts made into vectors, by the service and by its model alone."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import openai

from bench.corpus import Corpus
from bench.row import Figure, Load, Rounds, Row, cpu, in_turns, ratios
from bench.servers import cpu_seconds
from bench.stage import Stage
from local.layout import REPOSITORY

TEXTS, BATCH = 48, 64
_MODEL = "multilingual-e5-small"
_SECONDS = 60
_LENGTH_CHARS = 120

Send = Callable[[list[str]], object]


def embedding(stage: Stage, rounds: Rounds, seconds: int) -> Row:  # noqa: ARG001 - as much takes as long as it takes
    """A request of texts that nobody sent before, and the same texts on as many threads."""
    with httpx.Client(base_url=stage.vectors.url, headers={"X-API-Key": stage.librarian}, timeout=_SECONDS) as client:

        def send(texts: list[str]) -> None:
            body = {"model": _MODEL, "input": texts}
            client.post("/api/v1/embeddings", json=body).raise_for_status()

        return _row("V4", f"{TEXTS} texts of {_LENGTH_CHARS} characters embedded in one request", stage, rounds, send)


def batch(stage: Stage, rounds: Rounds, seconds: int) -> Row:  # noqa: ARG001 - as above
    """The same by OpenAI's client, which asks for base64 and makes numbers of it."""
    address = f"{stage.vectors.url}/api/v1"
    with openai.OpenAI(base_url=address, api_key=stage.librarian, timeout=_SECONDS, max_retries=0) as client:

        def send(texts: list[str]) -> None:
            assert len(client.embeddings.create(model=_MODEL, input=texts).data) == len(texts)

        work = f"{BATCH} texts of {_LENGTH_CHARS} characters embedded by one call of OpenAI's client"
        return _row("E1", work, stage, rounds, send, count=BATCH)


def _row(id: str, work: str, stage: Stage, rounds: Rounds, send: Send, *, count: int = TEXTS) -> Row:
    sent, made = _batches(stage.corpus, count), _batches(stage.corpus, count)
    with _model() as model:
        contenders = [
            lambda: {"ours": _sent(stage, next(sent), send)},
            lambda: {"the model": _made(model, next(made))},
        ]
        runs = in_turns(contenders, rounds)
    figures = [
        Figure("ours / the model", ratios(runs, "ours", "the model"), at_least=0.9),
        Figure("the same by CPU", ratios(runs, "the model", "ours", cpu)),
    ]
    return Row(id, work, runs, figures)


def _batches(corpus: Corpus, count: int) -> Iterator[list[str]]:
    """Of texts that are all as long, so that a round is as much work as the next."""
    texts = (corpus.text(at % corpus.count) for at in itertools.count())
    for number in itertools.count():
        words = " ".join(itertools.islice(texts, 2 * count))
        parts = [words[at * _LENGTH_CHARS :][: _LENGTH_CHARS - 8] for at in range(count)]
        yield [f"{number:03}.{at:03} {part}" for at, part in enumerate(parts)]


def _sent(stage: Stage, texts: list[str], send: Send) -> Load:
    server = [stage.vectors.process]
    began, own, spent = time.perf_counter(), time.process_time(), cpu_seconds(server)
    send(texts)
    taken, own = time.perf_counter() - began, time.process_time() - own
    return _load(len(texts), taken, cpu_seconds(server) - spent, own)


def _made(model: "subprocess.Popen[str]", texts: list[str]) -> Load:
    assert model.stdin
    assert model.stdout
    model.stdin.write(json.dumps(texts) + "\n")
    model.stdin.flush()
    found = json.loads(model.stdout.readline())
    return _load(len(texts), found["seconds"], found["cpu_seconds"], 0.0)


def _load(count: int, taken: float, spent: float, own: float) -> Load:
    return Load(count / taken, taken * 1e6, taken * 1e6, own / taken, spent * 1e6 / count)


@contextmanager
def _model() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "bench.apps.embedding"]
    process = subprocess.Popen(command, cwd=REPOSITORY, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)
