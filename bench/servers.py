"""Starts the measured servers, each a process of its own, and watches them from outside."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from local.layout import REPOSITORY

UVICORN = ("-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header")
_START_SECONDS = 180  # LiteLLM reads for a minute on a busy machine
_SETTLE_SECONDS = 10.0
_LOOK_SECONDS = 0.2
_QUIET_PERCENT = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """One that answers."""

    url: str
    process: psutil.Process


@contextmanager
def serving(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    port: int,
    python: Path | str = sys.executable,
    directory: Path = REPOSITORY,
) -> Iterator[Server]:
    """`python arguments…`, from when it answers on `port` until the block ends."""
    command = [str(python), *arguments]
    process = subprocess.Popen(command, cwd=directory, env=dict(environment), stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process)
        yield Server(url, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, timeout=1)
            return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(spent.user + spent.system for spent in times))


def machine_seconds() -> float:
    """Processor time that the whole machine has spent on work."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def rss_mib(processes: Sequence[psutil.Process]) -> float:
    return float(sum(process.memory_info().rss for process in processes)) / 2**20


def settle(patience: float) -> float:
    """Waits until the machine is quiet: a server still works off requests whose client has gone, and others work too.

    Not for ever, nor longer than `patience`: on a machine that is never quiet the spread says so. Returns the seconds.
    """
    began = time.monotonic()
    deadline = began + min(patience, _SETTLE_SECONDS)
    while time.monotonic() < deadline:
        if psutil.cpu_percent(_LOOK_SECONDS) < _QUIET_PERCENT:
            break
    return time.monotonic() - began
