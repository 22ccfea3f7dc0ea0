"""K1: what the gateway adds."""

import httpx
import psutil

from bench.load import Request
from bench.row import Figure, Row, in_turns
from bench.rows.contenders import flat_out
from bench.stage import Stage

PATH = "/api/v1/auth/jwks.json"
PROGRAMS = ("services.auth", "gateway.envoy", "envoy")


def hop(stage: Stage, rounds: int, seconds: int) -> Row:
    """The same request through the gateway and straight to the service, one connection."""
    stage.suite.up(["auth", "gateway"])
    servers = [process for process in psutil.process_iter(["cmdline"]) if _is_measured(process)]
    contenders = []
    for name, component in (("gateway", "gateway"), ("direct", "auth")):
        url = f"http://127.0.0.1:{stage.suite.site.ports[component]}{PATH}"
        httpx.get(url, timeout=5).raise_for_status()
        contenders.append(flat_out(name, [Request(url)], *servers, seconds=seconds, connections=1))
    runs = in_turns(contenders, rounds)
    pairs = zip(runs["gateway"], runs["direct"], strict=True)
    added = [(through.p50_us - straight.p50_us) / 1000 for through, straight in pairs]
    figures = [Figure("added p50, ms", added, at_most=0.25)]
    return Row("K1", "GET public keys, 1 connection", runs, figures)


def _is_measured(process: psutil.Process) -> bool:
    command = " ".join(process.info["cmdline"] or [])
    return any(name in command for name in PROGRAMS)
