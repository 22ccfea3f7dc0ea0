"""K1: what the gateway adds."""

import httpx
import psutil

from bench.load import Request
from bench.row import Figure, Rounds, Row, in_turns
from bench.rows.contenders import flat_out
from bench.stage import Stage
from local.suite import Suite

PATH = "/api/v1/auth/jwks.json"
COMPONENTS = ("auth", "gateway")


def hop(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """The same request through the gateway and straight to the service, one connection."""
    stage.suite.up(["auth", "gateway"])
    servers = measured(stage.suite)
    contenders = []
    for name, component in (("gateway", "gateway"), ("direct", "auth")):
        url = f"{stage.suite.url(component)}{PATH}"  # the service by TLS, as the gateway asks it
        httpx.get(url, timeout=5, verify=False).raise_for_status()  # noqa: S501 - as wrk, which checks no name either
        contenders.append(flat_out(name, [Request(url)], *servers, seconds=seconds, connections=1))
    runs = in_turns(contenders, rounds)
    pairs = zip(runs["gateway"], runs["direct"], strict=True)
    added = [(through.p50_us - straight.p50_us) / 1000 for through, straight in pairs]
    figures = [Figure("added p50, ms", added, at_most=0.25)]
    return Row("K1", "GET public keys, 1 connection", runs, figures)


def measured(suite: Suite) -> list[psutil.Process]:
    """The two of this suite and their children: processes of the same name belong to whoever runs beside us."""
    pids = {one.component: one.pid for one in suite.status()}
    parents = [psutil.Process(pid) for name in COMPONENTS if (pid := pids.get(name))]
    return [process for parent in parents for process in (parent, *parent.children(recursive=True))]
