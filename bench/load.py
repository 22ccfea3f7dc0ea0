"""Load as fast as it goes, from wrk."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from bench.row import Load
from bench.servers import cpu_seconds, machine_seconds, rss_mib

BUSY_CLIENT = 0.85
"""The share of a core from which on the client may be what is measured."""
_LUA_BYTES = [chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else rf"\{byte:03}" for byte in range(256)]
_LUA = """
local prepared, turn = {}, 0

init = function(args)
%s
end

request = function()
  turn = turn %% #prepared + 1
  return prepared[turn]
end

done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('RESULT {"requests": %%d, "microseconds": %%d, "errors": %%d, "p50": %%.1f, "p99": %%.1f}\\n',
    summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What the client sends."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes | None = None


def run_wrk(requests: Sequence[Request], *, connections: int, seconds: int, servers: Sequence[psutil.Process]) -> Load:
    """Sends `requests` in turn, over and over, all to the same address.

    Raises RuntimeError when any failed (a fast error is no speed) or the client was the bottleneck.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_LUA % "\n".join(_prepared(request) for request in requests))
        script.flush()
        before, client_before, machine_before = cpu_seconds(servers), _children_cpu(), machine_seconds()
        command = [_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script.name]
        printed = subprocess.run(
            [*command, requests[0].url], capture_output=True, text=True, check=True, timeout=seconds + 60
        ).stdout
        spent, client = cpu_seconds(servers) - before, _children_cpu() - client_before
        others = max(0.0, machine_seconds() - machine_before - spent - client)
    found = re.search(r"RESULT (\{.*\})", printed)
    if not found:
        raise RuntimeError(f"wrk reported nothing: {printed}")
    result = json.loads(found[1])
    if result["errors"] or not result["requests"]:
        raise RuntimeError(f"{result['errors']} of {result['requests']} requests to {requests[0].url} failed")
    elapsed = result["microseconds"] / 1e6
    return Load(
        requests_per_second=result["requests"] / elapsed,
        p50_us=result["p50"],
        p99_us=result["p99"],
        client_cpu_share=not_busy(client / elapsed),
        cpu_us_per_request=spent * 1e6 / result["requests"],
        rss_mib=rss_mib(servers),
        others_cpu_share=others / elapsed / (psutil.cpu_count() or 1),
        requests=result["requests"],
    )


def not_busy(share: float) -> float:
    """The client's share of a core. Raises RuntimeError when it was the bottleneck."""
    if share > BUSY_CLIENT:
        raise RuntimeError(f"the client took {share:.0%} of a core: this measures the client")
    return share


def _prepared(request: Request) -> str:
    method = "POST" if request.body is not None else "GET"
    headers = ", ".join(f"[{_lua(name)}] = {_lua(value)}" for name, value in request.headers.items())
    body = _lua(request.body) if request.body is not None else "nil"
    return f'  prepared[#prepared + 1] = wrk.format("{method}", nil, {{{headers}}}, {body})'


def _lua(text: str | bytes) -> str:
    """As Lua writes it: any byte may stand in a string, and those that mean something by their number."""
    coded = text.encode() if isinstance(text, str) else text
    return '"' + "".join(map(_LUA_BYTES.__getitem__, coded)) + '"'


def _wrk() -> str:
    if found := shutil.which("wrk"):
        return found
    subprocess.run(["apt-get", "install", "-y", "-qq", "wrk"], check=True, capture_output=True, timeout=300)
    return "wrk"


def _children_cpu() -> float:
    times = psutil.Process().cpu_times()
    return float(times.children_user + times.children_system)
