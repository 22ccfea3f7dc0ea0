"""G1: an agent, those related to it, and those related to them."""

import os
import sys
from collections.abc import Mapping

from bench import accounts
from bench.load import Request
from bench.neighbourhood import grow
from bench.peers.starting import neomodel
from bench.row import Figure, Rounds, Row, in_turns, ratios
from bench.rows.contenders import Contender, flat_out, hot
from bench.servers import UVICORN, Server, free_port, serving
from bench.stage import Stage

CONNECTIONS = 16
ASKED = {"": "", ", 1 hop": "/relations", ", 2 hops": "/graph?depth=2"}


def neighbours(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """Ours with all that a service does, neomodel under FastAPI, and the driver under an ASGI function."""
    token = stage.few_tokens[0]
    centre = grow(stage.agents.url, token)
    graph = {key: value for key, value in stage.suite.environment("agents").items() if key.startswith("NEO4J_")}
    tenant_id = accounts.who_is(stage.auth.url, token)["tenant_id"]
    environment = {**os.environ, "NEO4J_DATABASE": "neo4j", **graph, "TENANT_ID": tenant_id}
    port = free_port()
    arguments = [*UVICORN, "--factory", "bench.apps.graph:reads", "--port", str(port), "--log-level", "warning"]
    raw = stage.stack.enter_context(serving(arguments, environment, port=port, python=sys.executable))
    servers: Mapping[str, tuple[Server, str, Mapping[str, str]]] = {
        "ours": (stage.agents, "/api/v1/agents", {"Authorization": f"Bearer {token}"}),
        "neomodel": (stage.stack.enter_context(neomodel(environment)), "/agents", {}),
        "raw": (raw, "/agents", {}),
    }

    def contender(name: str, kind: str) -> Contender:
        server, root, headers = servers[name]
        asked = [Request(f"{server.url}{root}/{centre.agent_id}{ASKED[kind]}", headers)]
        return hot(
            flat_out(f"{name}{kind}", asked, server.process, seconds=seconds, connections=CONNECTIONS), asked
        )  # so that each statement is planned

    contenders = [contender(name, kind) for kind in ASKED for name in servers]
    runs = in_turns(contenders, rounds)
    figures = [
        Figure(f"ours{kind} / {other}", ratios(runs, f"ours{kind}", f"{other}{kind}"), at_least=promised)
        for other, promised in (("raw", 0.70), ("neomodel", 2.0))
        for kind in ASKED
    ]
    return Row("G1", f"an agent with {centre.around} around it, {CONNECTIONS} connections", runs, figures)
