"""The engines alone, each in a process of its own that keeps the corpus and waits to be asked."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil

from bench.row import Load

KINDS = ("flat", "graph", "edge")
_PROGRAM = Path(__file__).parent / "nearest.py"


class EngineAlone:
    """One of them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.recall = float(self._read()["recall"])

    def search(self, seconds: int) -> Load:
        return self._asked(f"search {seconds}")

    def store(self, batch: int, most: int) -> Load:
        """As much of the corpus, counted by vectors."""
        return self._asked(f"store {batch} {most}")

    def _asked(self, what: str) -> Load:
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
def engine_alone(kind: str, corpus: Path) -> Iterator[EngineAlone]:
    """It ends with the block."""
    command = [sys.executable, str(_PROGRAM), kind, str(corpus)]
    process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield EngineAlone(process)
    finally:
        process.terminate()
        process.wait(timeout=30)
