"""Load from wrk, and servers that are measured from outside."""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

REPOSITORY = Path(__file__).parent.parent
_LUA_REPORT = """
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests": %d, "microseconds": %d, "errors": %d, "p50": %.1f, "p99": %.1f}\\n',
    summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """One run: what was achieved, and the processor time the server spent on each request."""

    requests_per_second: float
    p50_us: float
    p99_us: float
    cpu_us_per_request: float
    client_cpu_share: float


@dataclass(frozen=True, slots=True)
class Request:
    """What the client sends over and over."""

    url: str
    headers: Mapping[str, str]
    body: str | None = None


def run_wrk(request: Request, *, connections: int, seconds: int, servers: list[psutil.Process]) -> Load:
    """Raises RuntimeError when any request failed: a fast error is no speed."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_lua(request))
        script.flush()
        before, client_before = _cpu(servers), _children_cpu()
        command = [_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script.name, request.url]
        printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
        spent, client = _cpu(servers) - before, _children_cpu() - client_before
    found = re.search(r"RESULT (\{.*\})", printed)
    if not found:
        raise RuntimeError(f"wrk reported nothing: {printed}")
    result = json.loads(found[1])
    if result["errors"] or not result["requests"]:
        raise RuntimeError(f"{result['errors']} of {result['requests']} requests to {request.url} failed")
    elapsed = result["microseconds"] / 1e6
    return Load(
        requests_per_second=result["requests"] / elapsed,
        p50_us=result["p50"],
        p99_us=result["p99"],
        cpu_us_per_request=spent * 1e6 / result["requests"],
        client_cpu_share=client / elapsed,
    )


def _wrk() -> str:
    if found := shutil.which("wrk"):
        return found
    subprocess.run(["apt-get", "install", "-y", "-qq", "wrk"], check=True, capture_output=True, timeout=300)
    return "wrk"


def _lua(request: Request) -> str:
    lines = [f"wrk.method = {'POST' if request.body else 'GET'!r}"]
    lines += [f"wrk.headers[{name!r}] = {value!r}" for name, value in request.headers.items()]
    if request.body:
        lines.append(f"wrk.body = {json.dumps(request.body)}")
    return "\n".join(lines) + _LUA_REPORT


def _cpu(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(spent.user + spent.system for spent in times))


def _children_cpu() -> float:
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(factory: str, environment: Mapping[str, str]) -> Iterator[tuple[str, psutil.Process]]:
    """One uvicorn process with the settings of `shared.serve`; yields its base URL."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", factory, "--port", str(port), "--loop", "uvloop"]
    command += ["--http", "httptools", "--no-access-log", "--no-server-header", "--log-level", "warning"]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=dict(environment), stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=1)
            return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise RuntimeError(f"{url} did not start")
