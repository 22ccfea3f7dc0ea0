"""A3: a login storm beside people who are logged in already."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from bench import accounts
from bench.load import Request, run_wrk
from bench.paced import paced
from bench.row import Figure, Load, Rounds, Row, Runs, in_turns, p99, ratios
from bench.rows.identity import GUARDED
from bench.servers import Server, cpu_seconds, rss_mib
from bench.stage import Stage
from local.layout import REPOSITORY

RATE = 200
PEOPLE = 200
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Side:
    """One server that logs people in and answers those who are."""

    name: str
    server: Server
    guarded: str
    headers: Sequence[Mapping[str, str]]
    logins: Sequence[Request]
    seconds: int

    def idle(self) -> dict[str, Load]:
        """The GETs alone."""
        process = self.server.process
        with paced(self.server.url + self.guarded, self.headers, rate=RATE, seconds=self.seconds) as client:
            before = cpu_seconds([process])
            client.begin()
            load = client.result()
            spent = cpu_seconds([process]) - before
        each = spent * 1e6 / (RATE * self.seconds)
        return {f"{self.name} idle": replace(load, cpu_us_per_request=each, rss_mib=rss_mib([process]))}

    def in_storm(self) -> dict[str, Load]:
        """The GETs beside 32 logins at a time."""
        with paced(self.server.url + self.guarded, self.headers, rate=RATE, seconds=self.seconds) as client:
            client.begin()
            logins = run_wrk(self.logins, connections=32, seconds=self.seconds, servers=[self.server.process])
            return {f"{self.name} logins": logins, f"{self.name} in storm": client.result()}

    def beside_hashing(self) -> dict[str, Load]:
        """The GETs beside the hash alone, in a process of its own: what the two processors have left to give."""
        with paced(self.server.url + self.guarded, self.headers, rate=RATE, seconds=self.seconds) as client:
            client.begin()
            return {"raw beside GETs": _raw(self.seconds), f"{self.name} beside raw": client.result()}


def storm(stage: Stage, rounds: Rounds, seconds: int) -> Row:
    """Logins a second against the raw rate of the hash, and what the storm does to everyone else."""
    emails, peer = stage.emails[:PEOPLE], stage.peer
    ours = Side(
        "ours",
        stage.auth,
        GUARDED,
        _bearer(stage.tokens()),
        _logins(stage.auth, "/api/v1/auth/token", emails),
        seconds,
    )
    theirs = Side(
        "peer",
        peer.server,
        GUARDED,
        _bearer(peer.tokens),
        _logins(peer.server, "/auth/jwt/login", peer.emails[:PEOPLE]),
        seconds,
    )
    turns = [
        ours.idle,
        ours.in_storm,
        lambda: {"raw": _raw(seconds)},
        ours.beside_hashing,
        theirs.idle,
        theirs.in_storm,
    ]
    runs = in_turns(turns, rounds)
    return Row("A3", f"logins, 32 connections, beside {RATE} protected GET/s", runs, _figures(runs))


def _figures(runs: Runs) -> list[Figure]:
    return [
        Figure("logins / raw beside GETs", ratios(runs, "ours logins", "raw beside GETs"), at_least=0.85),
        Figure("logins / raw", ratios(runs, "ours logins", "raw")),
        Figure("logins / peer's", ratios(runs, "ours logins", "peer logins")),
        Figure("GET p99, storm / idle", ratios(runs, "ours in storm", "ours idle", p99), at_most=3.0),
        Figure("the same of the peer", ratios(runs, "peer in storm", "peer idle", p99)),
    ]


def _bearer(tokens: Sequence[str]) -> list[Mapping[str, str]]:
    return [{"Authorization": f"Bearer {token}"} for token in tokens]


def _logins(server: Server, path: str, emails: Sequence[str]) -> list[Request]:
    forms = [{"grant_type": "password", "username": email, "password": accounts.PASSWORD} for email in emails]
    return [Request(server.url + path, FORM, urlencode(form)) for form in forms]


def _raw(seconds: int) -> Load:
    """Hashes a second of two threads that do nothing else."""
    command = [sys.executable, "-m", "bench.apps.hashing", str(seconds)]
    found = json.loads(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)
    cuts = statistics.quantiles(found["seconds"], n=100)
    return Load(
        requests_per_second=found["checks"] / seconds,
        p50_us=cuts[49] * 1e6,
        p99_us=cuts[98] * 1e6,
        client_cpu_share=0.0,
        cpu_us_per_request=found["cpu_seconds"] * 1e6 / found["checks"],
    )
