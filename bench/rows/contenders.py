"""How a contender takes its turn."""

from collections.abc import Callable, Mapping, Sequence

import httpx
import psutil

from bench import accounts
from bench.load import Request, run_wrk
from bench.row import Load

Contender = Callable[[], Mapping[str, Load]]


def flat_out(
    name: str, requests: Sequence[Request], *servers: psutil.Process, seconds: int, connections: int = 32
) -> Contender:
    """As many requests as the server can answer."""
    return lambda: {name: run_wrk(requests, connections=connections, seconds=seconds, servers=servers)}


def hot(contender: Contender, requests: Sequence[Request]) -> Contender:
    """With every request sent once beforehand: caches hold a minute, and on a slow machine more may pass in between."""

    async def present(client: httpx.AsyncClient, request: Request) -> None:
        method = "GET" if request.body is None else "POST"
        answer = await client.request(method, request.url, headers=request.headers, content=request.body)
        answer.raise_for_status()

    def run() -> Mapping[str, Load]:
        accounts.each("", requests, present)
        return contender()

    return run
