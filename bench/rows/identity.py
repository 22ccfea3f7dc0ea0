"""A1 and A1k: what it costs to know who is calling."""

from collections.abc import Mapping, Sequence

from bench import accounts
from bench.load import Request
from bench.row import Figure, Rounds, Row, Runs, cpu, in_turns, ratios
from bench.rows.contenders import Contender, flat_out, hot
from bench.stage import Stage

GUARDED, OPEN = "/api/v1/bench/guarded", "/api/v1/bench/open"
Headers = Sequence[Mapping[str, str]]


def tokens(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """A1: access tokens of a thousand people, in turn."""
    ours = _bearer(stage.tokens())
    theirs = [Request(stage.peer.server.url + GUARDED, headers) for headers in _bearer(stage.peer.tokens)]
    peer = flat_out("fastapi-users", theirs, stage.peer.server.process, seconds=seconds)
    runs = in_turns([*_with_and_without_caller(stage, ours, seconds), peer], rounds)
    figures = [*_figures(runs), Figure("ours / fastapi-users", ratios(runs, "ours", "fastapi-users"), at_least=3.0)]
    return Row("A1", "protected GET, 1,000 live tokens, 32 connections", runs, figures)


def api_keys(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """A1k: as many API keys, each exchanged at the real auth."""
    keys = accounts.create_keys(stage.auth.url, stage.tokens())
    runs = in_turns(_with_and_without_caller(stage, [{"X-API-Key": key} for key in keys], seconds), rounds)
    return Row("A1k", "protected GET, 1,000 API keys, 32 connections", runs, _figures(runs))


def _with_and_without_caller(stage: Stage, headers: Headers, seconds: int) -> list[Contender]:
    """One process, two routes; the open one gets the credentials too, so the bytes on the wire are the same."""
    server = stage.ours
    guarded, unguarded = ([Request(server.url + path, each) for each in headers] for path in (GUARDED, OPEN))
    return [
        hot(flat_out("ours", guarded, server.process, seconds=seconds), guarded),
        flat_out("bare", unguarded, server.process, seconds=seconds),
    ]


def _figures(runs: Runs) -> list[Figure]:
    return [
        Figure("ours / bare", ratios(runs, "ours", "bare"), at_least=0.85),
        Figure("the same by CPU", ratios(runs, "bare", "ours", cpu)),
    ]


def _bearer(tokens: Sequence[str]) -> Headers:
    return [{"Authorization": f"Bearer {token}"} for token in tokens]
