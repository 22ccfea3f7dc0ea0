"""The engines alone, each in a process of its own that keeps the corpus and waits to be asked."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil

from bench.peers.starting import PYTHON
from bench.row import Load

KINDS = {
    "raw flat": sys.executable,
    "raw graph": sys.executable,
    "raw edge": sys.executable,
    "lancedb": PYTHON,
    "pgvector": PYTHON,
}
"""What runs each: ours is for what we are made of, the peers' for what we are compared with."""
_PROGRAM = Path(__file__).parent / "nearest.py"


class EngineAlone:
    """One of them. It fills itself while others do; whoever asks it something waits for that."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @cached_property
    def filled(self) -> Mapping[str, Any]:
        """Its `recall`, and the `effort` that finds so much."""
        found: Mapping[str, Any] = self._read()
        return found

    @property
    def effort(self) -> str:
        """As a row says it; nothing where all are compared."""
        effort = self.filled["effort"]
        return "" if effort is None else f" (effort {effort})"

    def search(self, seconds: int) -> Load:
        return self._asked(f"search {seconds}")

    def store(self, batch: int, most: int) -> Load:
        """As much of the corpus, counted by vectors."""
        return self._asked(f"store {batch} {most}")

    def _asked(self, what: str) -> Load:
        assert self.filled
        assert self._process.stdin
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        found = self._read()
        cuts = quantiles(found["taken"], n=100, method="inclusive") if len(found["taken"]) > 1 else found["taken"] * 99
        return Load(
            requests_per_second=found["done"] / found["seconds"],
            p50_us=cuts[49] * 1e6,
            p99_us=cuts[98] * 1e6,
            client_cpu_share=0.0,
            cpu_us_per_request=found["cpu"] * 1e6 / found["done"],
            rss_mib=psutil.Process(self._process.pid).memory_info().rss / 2**20,
        )

    def _read(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("an engine failed")
        return json.loads(line)


@contextmanager
def engine_alone(kind: str, corpus: Path, files: Path, database_url: str) -> Iterator[EngineAlone]:
    """It ends with the block; what it wrote to `files` stays."""
    command = [str(KINDS[kind]), str(_PROGRAM), kind, str(corpus), str(files)]
    environment = {**os.environ, "PEER_DATABASE_URL": database_url}
    process = subprocess.Popen(command, text=True, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield EngineAlone(process)
    finally:
        process.terminate()
        process.wait(timeout=30)
