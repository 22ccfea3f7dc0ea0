"""H1: a validated POST with everything a service gets by default."""

import json
import os
import sys

from bench.load import Request
from bench.row import Figure, Rounds, Row, in_turns, ratios
from bench.rows.contenders import flat_out, hot
from bench.servers import UVICORN, free_port, serving
from bench.stage import Stage

ECHO = {"id": 7, "tags": ["a", "b", "c"], "text": "x" * 960}
PATH = "/api/v1/bench/echo"


def echo(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """Our defaults with a verified token, against bare FastAPI and against bytes copied, on the same server.

    A thousand tokens in turn: one would meet its limit.
    """
    kind, body = {"Content-Type": "application/json"}, json.dumps(ECHO)
    headers = [{**kind, "Authorization": f"Bearer {token}"} for token in stage.tokens()]
    servers = {"ours": stage.ours}
    for name in ("bare", "raw"):
        port = free_port()
        arguments = [*UVICORN, "--factory", f"bench.apps.plain:{name}", "--port", str(port), "--log-level", "warning"]
        servers[name] = stage.stack.enter_context(serving(arguments, os.environ, port=port, python=sys.executable))
    contenders = []
    for name, server in servers.items():
        requests = [Request(server.url + PATH, each, body) for each in headers]
        contender = flat_out(name, requests, server.process, seconds=seconds)
        contenders.append(hot(contender, requests) if name == "ours" else contender)
    runs = in_turns(contenders, rounds)
    figures = [
        Figure("ours / bare FastAPI", ratios(runs, "ours", "bare"), at_least=0.80),
        Figure("ours / raw ASGI", ratios(runs, "ours", "raw")),
    ]
    return Row("H1", "echo POST 1 KB, 32 connections", runs, figures)
