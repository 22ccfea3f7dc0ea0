"""C1: what a turn adds to the model's own stream."""

import json
import os
import sys
from collections.abc import Mapping, Sequence

import psutil

from bench.apps.upstream import PIECES
from bench.load import Request
from bench.peers.starting import LITELLM_KEY, litellm
from bench.row import Figure, Load, Rounds, Row, Runs, in_turns, ratios
from bench.rows.contenders import Contender
from bench.servers import UVICORN, Server, free_port, serving
from bench.stage import Stage
from bench.streams import Streaming, run_streams

CALLERS = (1, 16, 64)
_ASKED = {"model": "mock", "stream": True, "messages": [{"role": "user", "content": "Say some words."}]}


def stream(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """128 pieces of a model that says them at once: straight, handed on as bytes, by LiteLLM, and as a turn of ours."""
    upstream = stage.upstream
    servers = {
        "straight": upstream,
        "relay": _relay(stage, upstream),
        "LiteLLM": stage.stack.enter_context(litellm(upstream.url)),
    }
    beside = [upstream.process]
    contenders = [_contender(name, _completions(server), server, beside, seconds) for name, server in servers.items()]
    contenders.append(_contender("ours", _turns(stage), stage.chat, [upstream.process, stage.agents.process], seconds))
    runs = in_turns(contenders, rounds)
    return Row("C1", f"streams of {PIECES} pieces, 1, 16 and 64 callers", runs, _figures(runs))


def _figures(runs: Runs) -> list[Figure]:
    added, theirs = _added(runs, "ours x1"), _added(runs, "LiteLLM x1")
    return [
        Figure("first token added, ms", added, at_most=1.0),
        Figure("of what LiteLLM adds", [one / other for one, other in zip(added, theirs, strict=True)], at_most=0.25),
        Figure("ours / LiteLLM x64", ratios(runs, "ours x64", "LiteLLM x64"), at_least=4.0),
        Figure("ours / relay x64", ratios(runs, "ours x64", "relay x64"), at_least=0.5),
    ]


def _added(runs: Runs, name: str) -> list[float]:
    """Milliseconds to the first piece of text beyond those of the model server itself."""
    return [(load.p50_us - own.p50_us) / 1_000 for load, own in zip(runs[name], runs["straight x1"], strict=True)]


def _contender(name: str, what: Streaming, server: Server, beside: Sequence[psutil.Process], seconds: int) -> Contender:
    def run() -> Mapping[str, Load]:
        processes = [server.process, *server.process.children(recursive=True)]
        others = [each for each in beside if each.pid != server.process.pid]
        return {
            f"{name} x{callers}": run_streams(
                what,
                connections=callers,
                seconds=seconds,
                servers=processes,
                beside=others,
                busy_client=name == "straight",
            )
            for callers in CALLERS
        }

    return run


def _relay(stage: Stage, upstream: Server) -> Server:
    port = free_port()
    arguments = [*UVICORN, "--factory", "bench.apps.relay:relay", "--port", str(port), "--log-level", "warning"]
    environment = {**os.environ, "UPSTREAM": upstream.url}
    return stage.stack.enter_context(serving(arguments, environment, port=port, python=sys.executable))


def _completions(server: Server) -> Streaming:
    url = f"{server.url}/v1/chat/completions"
    key = {"Authorization": f"Bearer {LITELLM_KEY}"}
    return Streaming([Request(url, key, json.dumps(_ASKED))], first='"content"', last="[DONE]")


def _turns(stage: Stage) -> Streaming:
    """A new conversation each, of people of whom each has an agent of their own."""
    requests = [
        Request(
            f"{stage.chat.url}/api/v1/chat/message",
            {"Authorization": f"Bearer {token}"},
            json.dumps({"agent_id": agent_id, "content": "Say some words.", "stream": True}),
        )
        for token, agent_id in stage.chatters
    ]
    return Streaming(requests, first="event: message.delta", last="event: run.completed")
