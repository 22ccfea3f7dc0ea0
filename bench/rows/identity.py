"""A1 and A1k: what it costs to know who is calling."""

from collections.abc import Mapping, Sequence

from bench import accounts
from bench.load import Request
from bench.row import Figure, Row, in_turns, ratios
from bench.rows.contenders import flat_out
from bench.stage import Stage

GUARDED, OPEN = "/api/v1/bench/guarded", "/api/v1/bench/open"
Headers = Sequence[Mapping[str, str]]


def tokens(stage: Stage, rounds: int, seconds: int) -> Row:
    """A1: access tokens of a thousand people, in turn."""
    ours = _bearer(stage.tokens())
    theirs = [Request(stage.peer.server.url + GUARDED, headers) for headers in _bearer(stage.peer.tokens)]
    runs = in_turns(
        [
            flat_out("ours", _requests(stage, GUARDED, ours), stage.ours.process, seconds=seconds),
            flat_out("bare", _requests(stage, OPEN, ours), stage.ours.process, seconds=seconds),
            flat_out("fastapi-users", theirs, stage.peer.server.process, seconds=seconds),
        ],
        rounds,
    )
    figures = [
        Figure("ours / bare", ratios(runs, "ours", "bare"), at_least=0.85),
        Figure("ours / fastapi-users", ratios(runs, "ours", "fastapi-users"), at_least=3.0),
    ]
    return Row("A1", "protected GET, 1,000 live tokens, 32 connections", runs, figures)


def api_keys(stage: Stage, rounds: int, seconds: int) -> Row:
    """A1k: as many API keys; each is exchanged at auth for the first request of a minute."""
    keys = accounts.create_keys(stage.auth.url, stage.tokens())
    headers = [{"X-API-Key": key} for key in keys]
    runs = in_turns(
        [
            flat_out("ours", _requests(stage, GUARDED, headers), stage.ours.process, seconds=seconds),
            flat_out("bare", _requests(stage, OPEN, headers), stage.ours.process, seconds=seconds),
        ],
        rounds,
    )
    figures = [Figure("ours / bare", ratios(runs, "ours", "bare"), at_least=0.85)]
    return Row("A1k", "protected GET, 1,000 API keys, 32 connections", runs, figures)


def _bearer(tokens: Sequence[str]) -> Headers:
    return [{"Authorization": f"Bearer {token}"} for token in tokens]


def _requests(stage: Stage, path: str, headers: Headers) -> list[Request]:
    """The open route gets the credentials too: the bytes on the wire are the same."""
    return [Request(stage.ours.url + path, each) for each in headers]
