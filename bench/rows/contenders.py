"""How a contender takes its turn."""

from collections.abc import Callable, Mapping, Sequence

import psutil

from bench.load import Request, run_wrk
from bench.row import Load

Contender = Callable[[], Mapping[str, Load]]


def flat_out(
    name: str, requests: Sequence[Request], *servers: psutil.Process, seconds: int, connections: int = 32
) -> Contender:
    """As many requests as the server can answer."""
    return lambda: {name: run_wrk(requests, connections=connections, seconds=seconds, servers=servers)}
